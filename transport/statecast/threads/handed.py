"""The `runId` of `/initial-state`: the run that is active, and the revision of the state beside it.

A client hands it back to `/resume` as it is, and has nowhere else to say how far it has come. So the id says it, for
any number of tabs, after a restart too, and without anything being remembered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from .thread import Thread

__all__ = ["Handed"]

_AT: Final = "@"


class Handed(msgspec.Struct, frozen=True):
    """A run, and how far a client has come in it: `run_…@17`; or a run alone: `run_…`."""

    run_id: str
    revision: int | None = None

    def __str__(self) -> str:
        return self.run_id if self.revision is None else f"{self.run_id}{_AT}{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Handed:
        """Read what `str` wrote. A place that is none leaves the run alone."""
        run_id, _, place = text.partition(_AT)
        return cls(run_id, int(place) if place.isascii() and place.isdigit() and len(place) < 16 else None)

    def place_in(self, thread: Thread) -> int | None:
        """Return the revision, if the run is the thread's latest and its log reaches back; None: a snapshot is due."""
        latest = thread.run
        if self.revision is None or latest is None or latest.id != self.run_id:
            return None
        return self.revision if thread.log.reaches(self.revision) else None
