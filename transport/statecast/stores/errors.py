"""What stores raise. The tree of errors is drawn in `statecast.protocol.errors`."""

from __future__ import annotations

from statecast.protocol.errors import InternalError, Unavailable

__all__ = ["ChangeRefused", "Damaged", "Fenced", "StoreUnavailable"]


class StoreUnavailable(Unavailable):
    """The store cannot be reached or cannot write. Nothing of the batch was written.

    Args:
        reason: For the log.
    """

    code = "store_unavailable"

    def __init__(self, reason: str = "the store does not answer") -> None:
        super().__init__(reason, retry_after=2)

    @property
    def message(self) -> str:
        """Return the text for clients; the reason is for the log."""
        return "the store cannot be reached; try again soon"


class ChangeRefused(InternalError):
    """The store works, but will never accept one of these changes. Nothing of the batch was written."""


class Fenced(InternalError):
    """Another process has claimed the thread since: nothing of it was written, nor will be under this token."""


class Damaged(InternalError):
    """One thread or one file cannot be read. All others can."""
