"""Stretches: pieces of a thread's log that can each be read alone, because each begins with the state."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.protocol import RunState
from statecast.stores import SavedThread
from statecast.stores.log import Kind

from .restore import replay

__all__ = ["Point", "Stretch"]


class Point(msgspec.Struct, frozen=True):
    """What a thread was at a revision."""

    revision: int
    state: bytes  #: as JSON
    run: RunState | None  #: the latest run


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """A part of a log: the state at a revision, and the entries that follow it without a gap."""

    revision: int
    state: bytes
    run: bytes  #: the latest run at `revision`, as JSON
    entries: Sequence[tuple[int, Kind, bytes]]

    @classmethod
    def of(cls, saved: SavedThread) -> Stretch:
        """Return the latest part of a stored thread's log: its snapshot, and what follows."""
        return cls(saved.revision, saved.state, saved.run, saved.entries)

    @property
    def end(self) -> int:
        """The revision of the last entry."""
        return self.entries[-1][0] if self.entries else self.revision

    @property
    def size(self) -> int:
        """Its bytes, about."""
        return len(self.state) + sum(len(data) for _, _, data in self.entries)

    @property
    def final(self) -> tuple[int, RunState | None]:
        """The revision of the last entry, and the latest run there."""
        runs = [data for _, kind, data in self.entries if kind == "run"]
        return self.end, msgspec.json.decode(runs[-1] if runs else self.run, type=RunState | None)

    def last(self, most: int) -> Stretch:
        """Return the part with the last entries, as many as are allowed: at least one. O(the stretch).

        Damage raises any exception.
        """
        if len(self.entries) <= most:
            return self
        entries = self.entries[-most:]
        begin = self.point(self.entries[-most - 1][0])
        return Stretch(begin.revision, begin.state, msgspec.json.encode(begin.run), entries)

    def point(self, revision: int) -> Point:
        """Return the thread at a revision that the stretch has. O(the stretch).

        Damage raises any exception.
        """
        runs = [data for at, kind, data in self.entries if kind == "run" and at <= revision]
        run = msgspec.json.decode(runs[-1] if runs else self.run, type=RunState | None)
        state = self.state if revision == self.revision else replay(self.state, self.entries, revision).encode()
        return Point(revision, state, run)
