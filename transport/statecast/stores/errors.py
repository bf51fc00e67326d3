"""What stores raise. The tree of errors is drawn in `statecast.protocol.errors`."""

from __future__ import annotations

from statecast.protocol.errors import InternalError, Unavailable

__all__ = ["ChangeRefused", "Damaged", "StoreUnavailable"]


class StoreUnavailable(Unavailable):
    """The store could not be reached, or could not write. Nothing of the batch was written.

    Args:
        reason: For the log.
    """

    code = "store_unavailable"

    def __init__(self, reason: str = "the store does not answer") -> None:
        super().__init__(reason, retry_after=2)

    @property
    def message(self) -> str:
        """Return what clients read, which is not the reason."""
        return "the store cannot be reached; try again soon"


class ChangeRefused(InternalError):
    """The store works, and will never take one of these changes. Nothing of the batch was written."""


class Damaged(InternalError):
    """What the store holds of one thread, or of one file, cannot be read. Of others it can."""
