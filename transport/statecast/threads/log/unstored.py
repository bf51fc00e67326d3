"""Unstored: the latest stretch of a log that its store does not have, because the store is in memory and instant.

The log drops its oldest entries. They stay here, behind the state of the store's snapshot, until they are history.
"""

from __future__ import annotations

from collections.abc import Sequence

from statecast.protocol import Entry
from statecast.protocol.entries import size_of
from statecast.stores import Appended, Key, write_entry

from .log import Log
from .stretch import Stretch

__all__ = ["Unstored"]


class Unstored:
    """The entries of a thread since the snapshot that its store has.

    Args:
        log: The thread's log.
        revision: Of the snapshot.
        state: The snapshot, as JSON.
        run: The latest run then, as JSON.
        written: The revision up to which the store has the entries, too.
    """

    __slots__ = ("_base", "_gone", "_log", "_written", "size")

    def __init__(self, log: Log, revision: int, state: bytes, run: bytes, *, written: int | None = None) -> None:
        self._log = log
        self._base = revision, state, run
        self._gone: list[Entry] = []  #: those that the log has dropped
        self._written = revision if written is None else written
        self.size = 0  #: bytes of them

    def add(self, gone: Sequence[Entry]) -> None:
        """Keep entries that the log has dropped."""
        self._gone += [entry for entry in gone if entry.revision > self._base[0]]
        self.size += sum(map(size_of, gone))

    def stretch(self) -> Stretch:
        """Return the stretch from the snapshot to the end of the log."""
        entries = [(entry.revision, *write_entry(entry)) for entry in self._entries(self._base[0])]
        return Stretch(*self._base, entries)

    def begin(self, revision: int, state: bytes, run: bytes) -> None:
        """Begin at another snapshot, which the store has by now."""
        self._base = revision, state, run
        self._gone = [entry for entry in self._gone if entry.revision > revision]
        self.size = sum(map(size_of, self._gone))
        self._written = max(self._written, revision)

    def put_away(self, key: Key) -> list[Appended]:
        """Return the changes after which the store has everything."""
        changes = [Appended(key, entry.revision, *write_entry(entry)) for entry in self._entries(self._written)]
        self._written = self._log.revision
        return changes

    def _entries(self, revision: int) -> list[Entry]:
        """Return the entries after a revision that is not before the snapshot's."""
        start = self._log.start
        return [*(entry for entry in self._gone if entry.revision > revision), *self._log.after(max(start, revision))]
