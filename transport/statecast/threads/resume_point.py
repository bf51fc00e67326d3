"""The `runId` of `/initial-state`: the run that is active, and the cursor of the state beside it.

A client hands it back to `/resume` as it is, and has nowhere else to say how far it has come. So the id says it, for
any number of tabs, after a restart too, and without anything being remembered here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from statecast.protocol import Cursor

from .thread import Thread

__all__ = ["ResumePoint"]

_AT: Final = "@"


class ResumePoint(msgspec.Struct, frozen=True):
    """A run, and how far a client has come in it: `run_…@5c0e-17`; or a run alone: `run_…`."""

    run_id: str
    cursor: Cursor | None = None

    def __str__(self) -> str:
        return self.run_id if self.cursor is None else f"{self.run_id}{_AT}{self.cursor}"

    @classmethod
    def parse(cls, text: str) -> ResumePoint:
        """Read what `str` wrote. A place that is none leaves the run alone."""
        run_id, _, place = text.partition(_AT)
        return cls(run_id, Cursor.parse(place))

    def is_place_in(self, run_id: str) -> bool:
        """Whether it is a place in the run of that id, which may be of an earlier epoch."""
        return self.cursor is not None and self.run_id == run_id

    def place_in(self, thread: Thread) -> int | None:
        """Return the revision, if the run is the thread's latest and its log reaches back; None: a snapshot is due."""
        latest, cursor = thread.run, self.cursor
        if cursor is None or latest is None or latest.id != self.run_id or cursor.epoch != thread.epoch:
            return None
        return cursor.revision if thread.log.reaches(cursor.revision) else None
