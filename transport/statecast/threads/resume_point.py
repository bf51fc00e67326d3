"""Resume points: the `runId` that `/initial-state` returns names the active run and the state's cursor.

A client passes it to `/resume` unchanged and has no other field for its position. So the id carries the position, for
any number of tabs and across restarts, and the server remembers nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from statecast.protocol import Cursor

from .thread import Thread

__all__ = ["ResumePoint"]

_AT: Final = "@"


class ResumePoint(msgspec.Struct, frozen=True):
    """A run and a client's position in it, `run_…@5c0e-17`, or a run alone, `run_…`."""

    run_id: str
    cursor: Cursor | None = None

    def __str__(self) -> str:
        return self.run_id if self.cursor is None else f"{self.run_id}{_AT}{self.cursor}"

    @classmethod
    def parse(cls, text: str) -> ResumePoint:
        """Parse what `str` wrote. A malformed position is ignored."""
        run_id, _, place = text.partition(_AT)
        return cls(run_id, Cursor.parse(place))

    def is_place_in(self, run_id: str) -> bool:
        """Return whether this is a position in that run, possibly of an earlier epoch."""
        return self.cursor is not None and self.run_id == run_id

    def place_in(self, thread: Thread) -> int | None:
        """Return the revision if the run is the latest and the log reaches back; None: a snapshot is needed."""
        latest, cursor = thread.run, self.cursor
        if cursor is None or latest is None or latest.id != self.run_id or cursor.epoch != thread.epoch:
            return None
        return cursor.revision if thread.log.reaches(cursor.revision) else None
