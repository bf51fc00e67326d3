"""Entries in the SQLite store: appended to one table first, and moved to another by thread later.

A commit has entries of all busy threads. Writing each next to its thread would write a page per thread, so a commit
appends all of them to `latest`, in one row. When many are waiting there, those of the threads that have waited longest
move to `entries`, one row per thread.

Rule 1: entries that are only in `latest` are in memory too: the table is read when the file is opened and after a
failure.
Rule 2: entries that were moved or are obsolete may stay in `latest` for a while. They are recognized by their revision,
which `entries` or the snapshot has reached, or by their thread, which is deleted: row numbers are not reused.
Rule 3: a row of `latest` that cannot be read costs its threads the end of their logs, and nothing else. Such a log ends
at its first missing entry, and `settle` removes the rest.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import msgspec

from statecast.stores.errors import Damaged
from statecast.stores.log import Kind

from .rows import checked, is_corrupt

__all__ = ["Entries"]

#: Entries that wait, and bytes of them, at which threads are moved; and how many are moved then, about. The more wait,
#: the longer are the rows in `entries`; the more are moved at once, the longer a commit takes.
MOST: Final = 16_384
MOST_BYTES: Final = 2**22
AT_ONCE: Final = 1_024
AT_ONCE_BYTES: Final = 2**18

#: Entries of one thread that wait, and bytes of them, at which they are moved whatever else waits.
FULL: Final = 512
FULL_BYTES: Final = 2**16

#: The kinds of rows in `entries` that hold several, up to their revision, as they are or compressed. In schema 1 each
#: entry had a row.
SEVERAL: Final = "several"
COMPRESSED: Final = "compressed"

#: Rows in one statement, as a power of two; SQLite takes 32,766 values.
MOST_ROWS: Final = 11

_Entry = tuple[int, Kind, bytes]
_Placed = tuple[int, int, Kind, bytes]  # the thread's row, and the entry
_Row = tuple[int, int, str, bytes]  # of `entries`

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[_Entry]).decode
_unpack_placed: Final = msgspec.msgpack.Decoder(list[_Placed]).decode


class _Waiting:
    """The entries of one thread that are only in `latest`."""

    __slots__ = ("entries", "place", "size")

    def __init__(self, place: int) -> None:
        self.place = place  #: where the first is, or was
        self.entries: list[_Entry] = []
        self.size = 0  #: in bytes


class Entries:
    """The entries of a file. Threads are named by their row in `threads`."""

    def __init__(self) -> None:
        self._place = 0  #: of the last row in `latest`
        self._new: list[_Placed] = []  #: yet to be written
        self._waiting: dict[int, _Waiting] = {}  #: by thread, in the order of their places
        self._count = self._size = 0  #: of all that waits
        self._full: set[int] = set()
        self.last_row = 0  #: the last that `latest` may name
        self.lost = 0  #: how many rows of `latest` could not be read

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Entries:
        """Read the entries of a file."""
        entries = cls()
        reached: dict[int, float] = {}
        for place, data in _latest(connection):
            entries._place = place
            try:
                placed = _unpack_placed(data)
            except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
                entries.lost += 1
                continue
            for row, revision, kind, entry in placed:
                if row not in reached:
                    reached[row] = _reached(connection, row)
                if revision > reached[row]:
                    entries._wait(place, row, revision, kind, entry)
        if entries.lost:
            for row in list(entries._waiting):
                entries._end_at_the_first_gap(row, reached[row])
        entries.last_row = max(reached, default=0)
        return entries

    def add(self, row: int, revision: int, kind: Kind, data: bytes) -> None:
        """Append an entry to a thread; `write` writes it."""
        self._new.append((row, revision, kind, data))
        self._wait(self._place + 1, row, revision, kind, data)

    def write(self, connection: sqlite3.Connection, *, compress: bool = False) -> None:
        """Write the entries that were added, and move those that have waited long enough.

        Args:
            compress: Whether what is moved is compressed: to a quarter or less, for about what it costs to write the
                rest. But a thread lets go of the interpreter with each row, and waits for a busy event loop to get it
                back.
        """
        moved = [self._take(row, compress) for row in self._full]
        self._full.clear()
        if self._count > MOST or self._size > MOST_BYTES:
            while self._count > MOST - AT_ONCE or self._size > MOST_BYTES - AT_ONCE_BYTES:
                moved.append(self._take(next(iter(self._waiting)), compress))
        new, self._new = self._new, []
        if moved:
            done = {row for row, *_ in moved}
            new = [entry for entry in new if entry[0] not in done]
        if new:
            self._place += 1
            connection.execute("INSERT INTO latest VALUES (?, ?)", (self._place, _pack(new)))
        if moved:
            self._move(connection, moved)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Move all waiting entries to their threads, and empty `latest`."""
        moved = [self._take(row, compress=False) for row in list(self._waiting)]
        self._full.clear()
        self._move(connection, moved)

    def after(self, connection: sqlite3.Connection, row: int, revision: int) -> list[_Entry]:
        """Return a thread's entries after a revision.

        Raises:
            Damaged: A row of them cannot be read.
        """
        found: list[_Entry] = []
        query = "SELECT revision, kind, data FROM entries WHERE row = ? AND revision > ? ORDER BY revision"
        for entry in connection.execute(query, (row, revision)).fetchall():
            found += _entries_in(entry)
        if row in self._waiting:
            found += self._waiting[row].entries
        return [entry for entry in found if entry[0] > revision]

    def forget(self, connection: sqlite3.Connection, row: int, revision: float = math.inf) -> None:
        """Remove a thread's entries up to the revision of its snapshot, or all of them."""
        connection.execute("DELETE FROM entries WHERE row = ? AND revision <= ?", (row, revision))
        waiting = self._waiting.get(row)
        if waiting is not None:
            self._keep(row, [entry for entry in waiting.entries if entry[0] > revision])

    def _end_at_the_first_gap(self, row: int, reached: float) -> None:
        """Drop a thread's entries behind the first that is missing."""
        waiting = self._waiting[row]
        whole = 0
        while whole < len(waiting.entries) and waiting.entries[whole][0] == reached + whole + 1:
            whole += 1
        self._keep(row, waiting.entries[:whole])

    def _keep(self, row: int, left: list[_Entry]) -> None:
        """Replace a thread's waiting entries by fewer."""
        waiting = self._waiting[row]
        size = sum(len(data) for _, _, data in left)
        self._count += len(left) - len(waiting.entries)
        self._size += size - waiting.size
        waiting.entries, waiting.size = left, size
        if not left:
            del self._waiting[row]
            self._full.discard(row)

    def _wait(self, place: int, row: int, revision: int, kind: Kind, data: bytes) -> None:
        waiting = self._waiting.get(row)
        if waiting is None:
            waiting = self._waiting[row] = _Waiting(place)
        waiting.entries.append((revision, kind, data))
        size = len(data)
        waiting.size += size
        self._count += 1
        self._size += size
        if waiting.size > FULL_BYTES or len(waiting.entries) > FULL:
            self._full.add(row)

    def _take(self, row: int, compress: bool) -> _Row:
        """Remove a thread from those waiting, and return its row for `entries`."""
        waiting = self._waiting.pop(row)
        self._count -= len(waiting.entries)
        self._size -= waiting.size
        last, data = waiting.entries[-1][0], _pack(waiting.entries)
        return (row, last, COMPRESSED, zlib.compress(data, 1)) if compress else (row, last, SEVERAL, data)

    def _move(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        # Many rows in one statement: between statements a thread lets go of the interpreter, and while the event loop
        # is busy it gets it back only milliseconds later.
        start = 0
        while start < len(rows):
            count = 1 << min((len(rows) - start).bit_length() - 1, MOST_ROWS)
            values = [value for row in rows[start : start + count] for value in row]
            connection.execute(_insert_of(count), values)
            start += count
        first = next(iter(self._waiting.values()), None)
        place = self._place + 1 if first is None else first.place
        connection.execute("DELETE FROM latest WHERE place < ?", (place,))


def _entries_in(row: tuple[int, str, bytes]) -> list[_Entry]:
    """Return the entries in a row of `entries`.

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


def _latest(connection: sqlite3.Connection) -> Iterator[tuple[int, Any]]:
    """Yield the places and the data of `latest`; None for data that SQLite cannot read."""
    places = connection.execute("SELECT place FROM latest ORDER BY place").fetchall()
    for (place,) in places:
        try:
            yield connection.execute("SELECT place, data FROM latest WHERE place = ?", (place,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            yield place, None


def _reached(connection: sqlite3.Connection, row: int) -> float:
    """Return the revision up to which a thread's entries are in `entries` or its snapshot; infinity if it is gone."""
    query = "SELECT revision, (SELECT max(revision) FROM entries WHERE row = ?) FROM threads WHERE row = ?"
    found = connection.execute(query, (row, row)).fetchone()
    if found is None:
        return math.inf
    return max((revision for revision in found if isinstance(revision, int)), default=0)  # one that is none is damaged


@functools.cache
def _insert_of(rows: int) -> str:
    return "INSERT INTO entries VALUES " + ", ".join(["(?, ?, ?, ?)"] * rows)
