"""The backlog: what is committed, in a segment and in memory, and not yet in SQLite. It lives on the event loop.

It also knows of each thread that was used whether it exists, so that most commits need no query.

Rule: with a change of a thread, all its entries that wait are taken, so that what SQLite has of a thread is always what
there was at one time, even if the end of a segment is lost.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Final

import msgspec

from statecast.stores.base import Change, Deleted, Moved
from statecast.stores.errors import ChangeRefused
from statecast.stores.fitting import check_fit
from statecast.stores.key import Key
from statecast.stores.log import Appended, BatchAccepted, BatchChanged, Compacted, Created
from statecast.stores.records import RecordErased, RecordWritten

from .commits import CODES, KINDS, Commit, Inserted, Other, Placed, RunChanged, encode
from .entries import Taken, WaitingEntries

__all__ = ["Backlog", "Portion", "Prepared", "UnknownThread"]

#: Changes that wait, and bytes of them, at which they are taken.
MOST: Final = 1_024
MOST_BYTES: Final = 2**20

#: Threads that are known not to exist.
ABSENT: Final = 4_096

#: What a change or an entry holds beside its data, in bytes, about.
CHANGE: Final = 200


class UnknownThread(LookupError):
    """It is not known whether a thread exists."""


class Prepared(msgspec.Struct, frozen=True):
    """A commit that fits, and what becomes of the backlog by it."""

    data: bytes
    number: int
    entries: Sequence[Placed]
    others: Sequence[tuple[int | None, Other]]  #: with the row of the thread, where it is known
    rows: dict[Key, int | None]  #: of the threads that it creates, moves and deletes
    last_row: int


class Portion(msgspec.Struct, frozen=True):
    """A part of the backlog that is to be written to SQLite in one transaction."""

    number: int  #: of the last commit: of this one and all before, all changes but entries are in SQLite then
    others: Sequence[tuple[int | None, float, Other]]  #: with the row, where it is known, and the time
    entries: Sequence[Taken]
    touched: dict[int, float]  #: when entries were last added, by row
    size: int  #: bytes, about


class Backlog:
    """What SQLite is yet to get.

    Args:
        era: The database's, which new threads get.
        last_row: The greatest number of a row that was ever given to a thread.
        refused: The rows of threads of which SQLite refused a change; nothing more of them is taken.
    """

    def __init__(self, *, era: str, last_row: int, refused: set[int]) -> None:
        self.entries = WaitingEntries()
        self.deletions = 0  #: how many changes deleted something
        self._refused = refused
        self._era = era
        self._number = 0  #: of the last commit
        self._last_row = last_row
        self._rows: dict[Key, int] = {}
        self._absent: dict[Key, None] = {}
        self.version = 0  #: changes with what is known; see `learn`
        self._others: list[tuple[int | None, float, Other]] = []
        self._concerned: set[Key] = set()  #: what they change
        self._size = 0  #: of them, in bytes
        self._touched: dict[int, float] = {}

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.entries.size + self._size

    def concerns(self, key: Key | None) -> bool:
        """Return whether it changes a thread, or anything; entries do not count."""
        return bool(self._others) if key is None else key in self._concerned

    def row(self, key: Key) -> int | None:
        """Return a thread's row; None if there is no such thread, or it is not known."""
        return self._rows.get(key)

    def has(self, key: Key) -> bool:
        """Return whether a thread exists.

        Raises:
            UnknownThread: It is not known.
        """
        if key in self._rows:
            return True
        if key in self._absent:
            return False
        raise UnknownThread

    def unknown(self, changes: Sequence[Change]) -> set[Key]:
        """Return the threads of which must be found out whether they exist, or have a summary, to prepare changes."""
        keys: set[Key] = set()
        for change in changes:
            if isinstance(change, Moved):
                keys |= {change.key, Key(change.owner, change.key.thread_id)}
            elif change.key not in self._rows and change.key not in self._absent:
                keys.add(change.key)
        return keys

    def learn(self, found: Mapping[Key, int | None], version: int) -> None:
        """Remember the rows of threads, or that there are no such threads, as found out since a version."""
        if version != self.version:
            return
        if len(self._absent) > ABSENT:
            self._absent.clear()
        for key, row in found.items():
            if row is None:
                self._absent[key] = None
            else:
                self._rows[key] = row

    def prepare(self, changes: Sequence[Change], summarized: Container[Key] | None = None) -> Prepared:
        """Return a commit of changes.

        Args:
            changes: The changes.
            summarized: The threads with a summary, of those that are moved or moved to; None: nobody has looked.

        Raises:
            ChangeRefused: One of them does not fit.
            UnknownThread: Whether one fits is not known.
        """
        rows, entries = self._rows, []
        if not self._refused:
            for change in changes:
                if type(change) is not Appended or change.open is not None:
                    break
                row = rows.get(change.key)
                if row is None:
                    break
                entries.append((row, change.revision, CODES[change.kind], change.data))
            else:
                number = self._number + 1
                data = encode(Commit(number, entries, []))
                return Prepared(data, number, entries, (), {}, self._last_row)
        return self._prepare(changes, summarized)

    def _prepare(self, changes: Sequence[Change], summarized: Container[Key] | None) -> Prepared:
        if summarized is None:
            if any(isinstance(change, Moved) for change in changes):
                raise UnknownThread
            summarized = ()
        check_fit(changes, self.has, summarized.__contains__)
        entries: list[Placed] = []
        others: list[tuple[int | None, Other]] = []
        rows: dict[Key, int | None] = {}
        last_row = self._last_row
        for change in changes:
            key = change.key
            row = rows[key] if key in rows else self._rows.get(key)
            if row in self._refused and not isinstance(change, Deleted):
                raise ChangeRefused(f"the store could not write what happened on the thread {key.thread_id!r} before")
            if isinstance(change, Appended):
                assert row is not None
                entries.append((row, change.revision, CODES[change.kind], change.data))
                if change.open is not None:
                    others.append((row, RunChanged(key, change.open)))
            elif isinstance(change, Created):
                last_row += 1
                rows[key] = last_row
                others.append((last_row, Inserted(last_row, self._era, change)))
            else:
                others.append((row, change))
                if isinstance(change, Moved):
                    rows[Key(change.owner, key.thread_id)] = row
                if isinstance(change, Moved | Deleted):
                    rows[key] = None
        number = self._number + 1
        data = encode(Commit(number, entries, [other for _, other in others]))
        return Prepared(data, number, entries, others, rows, last_row)

    def add(self, prepared: Prepared, at: float) -> bool:
        """Add a commit, which is in the segment, and return whether some of the backlog should be written to SQLite.

        Args:
            prepared: The commit.
            at: The store's time.
        """
        self._number = prepared.number
        touched, add = self._touched, self.entries.add
        for row, revision, code, data in prepared.entries:
            add(row, revision, KINDS[code], data)
            touched[row] = at
        if prepared.others:
            self._add_others(prepared, at)
        return self.entries.due or len(self._others) > MOST or self._size > MOST_BYTES

    def _add_others(self, prepared: Prepared, at: float) -> None:
        for known, other in prepared.others:
            self._others.append((known, at, other))
            self._size += CHANGE + _size_of(other)
            self._concerned.add(other.key)
            if isinstance(other, Compacted):
                assert known is not None
                self.entries.forget(known, other.revision)
            elif isinstance(other, Deleted) and known is not None:
                self.entries.forget(known)
                self._touched.pop(known, None)
                self._refused.discard(known)
            if isinstance(other, Deleted | RecordErased):
                self.deletions += 1
        if prepared.rows:
            self._last_row = prepared.last_row
            self.version += 1
            for key in prepared.rows:
                self._concerned.add(key)
                self._rows.pop(key, None)
                self._absent.pop(key, None)
            self.learn(prepared.rows, self.version)

    def take(self, *, everything: bool = False) -> Portion:
        """Remove and return what SQLite is to get next: all changes, and of the entries those that are due, or all."""
        others, self._others = self._others, []
        touched, self._touched = self._touched, {}
        if everything:
            entries = self.entries.take_all()
        else:
            entries = self.entries.take(row for row, _, _ in others if row is not None)
        size = self._size + sum(CHANGE + len(data) for _, taken in entries for _, _, data in taken)
        self._size = 0
        self._concerned.clear()
        return Portion(self._number, others, entries, touched, size)


def _size_of(change: Other) -> int:
    """Return the bytes of a change's data."""
    if isinstance(change, Inserted):
        return len(change.created.state)
    if isinstance(change, Compacted):
        return len(change.state)
    if isinstance(change, RecordWritten | BatchAccepted | BatchChanged):
        return len(change.data)
    return 0
