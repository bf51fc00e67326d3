"""Entries in the SQLite store: in memory until there are enough of a thread for a row of the table `entries`.

A row for each entry would write a page for each. So entries wait here, and in a segment, where a crash does not harm
them, until they are taken: all of a thread as one row.

Rule 1: what waits here is not in the table; what was taken is written to the table before anything later is read there.
Rule 2: entries that are obsolete may still be in a segment. They are recognized by their revision, which the table or
the snapshot has reached, or by their thread, which is deleted: row numbers are not reused.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import msgspec

from statecast.stores.errors import Damaged
from statecast.stores.log import Kind

from .rows import checked

__all__ = ["Taken", "WaitingEntries", "delete", "entries_after", "following", "revision_reached", "write"]

#: Entries that wait, and bytes of them, at which some are taken; and how many then, about. The more wait, the longer
#: are the rows of the table.
MOST: Final = 16_384
MOST_BYTES: Final = 2**22
AT_ONCE: Final = 4_096
AT_ONCE_BYTES: Final = 2**20

#: Entries of one thread that wait, and bytes of them, at which they are taken whatever else waits.
FULL: Final = 2_048
FULL_BYTES: Final = 2**18

#: Bytes that are not worth compressing.
SMALL: Final = 1_000

#: The kinds of rows in `entries` that hold several, up to their revision, as they are or compressed. In schema 1 each
#: entry had a row.
SEVERAL: Final = "several"
COMPRESSED: Final = "compressed"

#: Rows in one statement, as a power of two; SQLite takes 32,766 values.
MOST_ROWS: Final = 11

_Entry = tuple[int, Kind, bytes]
Taken = tuple[int, list[_Entry]]  #: the row of a thread, and entries of it

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[_Entry]).decode


class _Waiting:
    """The entries of one thread that wait."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.size = 0  #: in bytes


class WaitingEntries:
    """The entries that wait. Threads are named by their row in `threads`."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}  #: by thread; the one that has waited longest is first
        self._full: set[int] = set()
        self._count = self._size = 0  #: of all

    @property
    def due(self) -> bool:
        """Whether some should be taken."""
        return bool(self._full) or self._count > MOST or self._size > MOST_BYTES

    @property
    def size(self) -> int:
        """Bytes of all that wait."""
        return self._size

    def add(self, row: int, revision: int, kind: Kind, data: bytes) -> None:
        """Add an entry to those of a thread."""
        waiting = self._waiting.get(row)
        if waiting is None:
            waiting = self._waiting[row] = _Waiting()
        entries = waiting.entries
        entries.append((revision, kind, data))
        size = len(data)
        waiting.size += size
        self._count += 1
        self._size += size
        if waiting.size > FULL_BYTES or len(entries) > FULL:
            self._full.add(row)

    def of(self, row: int) -> list[_Entry]:
        """Return those of a thread."""
        waiting = self._waiting.get(row)
        return [] if waiting is None else waiting.entries.copy()

    def forget(self, row: int, revision: float = math.inf) -> None:
        """Remove those of a thread up to the revision of its snapshot, or all."""
        waiting = self._waiting.get(row)
        if waiting is None:
            return
        left = [entry for entry in waiting.entries if entry[0] > revision]
        size = sum(len(data) for _, _, data in left)
        self._count -= len(waiting.entries) - len(left)
        self._size -= waiting.size - size
        waiting.entries, waiting.size = left, size
        if not left:
            del self._waiting[row]
            self._full.discard(row)

    def take(self, rows: Iterable[int]) -> list[Taken]:
        """Remove and return those of some threads, and those that have waited long enough."""
        taken = [self._take(row) for row in {*self._full, *rows} if row in self._waiting]
        if self._count > MOST or self._size > MOST_BYTES:
            while self._count > MOST - AT_ONCE or self._size > MOST_BYTES - AT_ONCE_BYTES:
                taken.append(self._take(next(iter(self._waiting))))
        return taken

    def take_all(self) -> list[Taken]:
        """Remove and return all."""
        return self.take(list(self._waiting))

    def _take(self, row: int) -> Taken:
        waiting = self._waiting.pop(row)
        self._full.discard(row)
        self._count -= len(waiting.entries)
        self._size -= waiting.size
        return row, waiting.entries


def write(connection: sqlite3.Connection, taken: Sequence[Taken]) -> None:
    """Write entries to the table, a row for each thread.

    Many rows go in one statement: between statements a thread lets go of the interpreter, and while the event loop is
    busy it gets it back only milliseconds later.
    """
    rows = [_row(*one) for one in taken]
    start = 0
    while start < len(rows):
        count = 1 << min((len(rows) - start).bit_length() - 1, MOST_ROWS)
        values = [value for row in rows[start : start + count] for value in row]
        connection.execute(_insert_of(count), values)
        start += count


def entries_after(
    connection: sqlite3.Connection, row: int, revision: int, waiting: Sequence[_Entry] = ()
) -> list[_Entry]:
    """Return a thread's entries after a revision: those in the table, and those that waited at some time.

    Raises:
        Damaged: A row of them cannot be read.
    """
    found: list[_Entry] = []
    query = "SELECT revision, kind, data FROM entries WHERE row = ? AND revision > ? ORDER BY revision"
    for several in connection.execute(query, (row, revision)).fetchall():
        found += _entries_in(several)
    reached = found[-1][0] if found else revision
    return [*(entry for entry in found if entry[0] > revision), *(entry for entry in waiting if entry[0] > reached)]


def delete(connection: sqlite3.Connection, row: int, revision: float = math.inf) -> None:
    """Delete a thread's entries up to the revision of its snapshot, or all."""
    connection.execute("DELETE FROM entries WHERE row = ? AND revision <= ?", (row, revision))


def revision_reached(connection: sqlite3.Connection, row: int) -> float:
    """Return the revision up to which a thread's entries are in the table or its snapshot; infinity if it is gone."""
    query = "SELECT revision, (SELECT max(revision) FROM entries WHERE row = ?) FROM threads WHERE row = ?"
    found = connection.execute(query, (row, row)).fetchone()
    if found is None:
        return math.inf
    return max((revision for revision in found if isinstance(revision, int)), default=0)  # one that is none is damaged


def following(connection: sqlite3.Connection, found: Mapping[int, Sequence[_Entry]]) -> list[Taken]:
    """Return what follows, without a gap, on what each thread has in the table or its snapshot."""
    taken: list[Taken] = []
    for row, entries in found.items():
        reached = revision_reached(connection, row)
        follow: list[_Entry] = []
        for entry in entries:
            if entry[0] == reached + 1:
                follow.append(entry)
                reached += 1
        if follow:
            taken.append((row, follow))
    return taken


def _row(row: int, entries: list[_Entry]) -> tuple[int, int, str, bytes]:
    data = _pack(entries)
    if len(data) < SMALL:
        return row, entries[-1][0], SEVERAL, data
    return row, entries[-1][0], COMPRESSED, zlib.compress(data, 1)


def _entries_in(row: tuple[int, str, bytes]) -> list[_Entry]:
    """Return the entries in a row of the table.

    Raises:
        Damaged: The row cannot be read.
    """
    revision, kind, data = row
    try:
        if kind == COMPRESSED:
            return _unpack(zlib.decompress(data))
        if kind == SEVERAL:
            return _unpack(data)
        ((revision, kind, data),) = checked("an entry", [row], int, str, bytes)
        return [(revision, cast("Kind", kind), data)]
    except (msgspec.DecodeError, zlib.error, TypeError, UnicodeDecodeError) as error:
        raise Damaged(f"the entries up to {revision}: {error}") from None


@functools.cache
def _insert_of(rows: int) -> str:
    return "INSERT OR REPLACE INTO entries VALUES " + ", ".join(["(?, ?, ?, ?)"] * rows)
