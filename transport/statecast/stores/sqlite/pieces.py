"""Files in the SQLite store, written and read in pieces.

Rule 1: files have a connection and a thread of their own. The thread that commits waits for one piece at most, however
large the file is.
Rule 2: a file exists once all of its pieces are written. Pieces without a file are left over from an upload, and are
deleted when the store is opened.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from statecast.stores.errors import Damaged
from statecast.stores.records import File

from .records import owner_name
from .rows import as_text, checked, owner_of

__all__ = ["Pieces"]

#: Pieces that are deleted in one statement.
AT_ONCE: Final = 4


class Pieces:
    """The files in the file of a store.

    Args:
        path: The file, which is open and up to date.
        durable: Whether each commit waits until the disk has it.
        patience: Seconds to wait for other writers.
    """

    def __init__(self, path: Path, *, durable: bool, patience: float) -> None:
        self._connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        self._connection.text_factory = as_text
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._connection.execute("DELETE FROM pieces WHERE file NOT IN (SELECT number FROM files)")
        query = "SELECT max(ifnull((SELECT max(number) FROM files), 0), ifnull((SELECT max(file) FROM pieces), 0))"
        self._last: int = 0  #: number that was given to a file
        (self._last,) = self._connection.execute(query).fetchone()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def begin(self) -> int:
        """Return the number of a new file."""
        self._last += 1
        return self._last

    def add(self, number: int, start: int, data: bytes) -> None:
        """Write a piece of a file."""
        self._connection.execute("INSERT INTO pieces (file, start, data) VALUES (?, ?, ?)", (number, start, data))

    def finish(self, number: int, file: File) -> int | None:
        """Create a file whose pieces are all written; return the number of the file that it replaces."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            before = self.unlink(file.name)
            values = (number, file.name, file.type, owner_name(file.owner), file.size)
            query = "INSERT INTO files (number, name, type, owner, size) VALUES (?, ?, ?, ?, ?)"
            self._connection.execute(query, values)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return before

    def find(self, name: str) -> File | None:
        """Return a file.

        Raises:
            Damaged: Its row cannot be read.
        """
        rows = self._connection.execute("SELECT type, owner, size FROM files WHERE name = ?", (name,)).fetchall()
        if not rows:
            return None
        ((type, owner, size),) = checked(f'the file "{name}"', rows, str, str, int)
        return File(name, type, owner_of(owner), size)

    def read(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of a file from `start` up to `end`, reading nothing else.

        Raises:
            Damaged: A piece is missing or cannot be read.
        """
        first = "(SELECT max(start) FROM pieces WHERE file = number AND start <= ?)"
        query = (
            "SELECT pieces.rowid, start, length(data) FROM files JOIN pieces ON file = number"
            f" WHERE name = ? AND start >= {first} AND start < ? ORDER BY start"
        )
        found: list[bytes] = []
        at = start
        for row, place, size in self._connection.execute(query, (name, start, end)).fetchall():
            upto = min(end, place + size)
            if at < upto and place <= at:
                found.append(self._part(row, at - place, upto - at))
                at = upto
        if at < end:
            raise Damaged(f'a piece of the file "{name}" is missing after its first {at} bytes')
        return b"".join(found)

    def _part(self, row: int, start: int, size: int) -> bytes:
        try:
            with self._connection.blobopen("pieces", "data", row, readonly=True) as blob:
                blob.seek(start)
                return blob.read(size)
        except sqlite3.OperationalError as error:
            raise Damaged(f"a piece of a file cannot be read: {error}") from None

    def unlink(self, name: str) -> int | None:
        """Delete a file but not yet its pieces; return its number."""
        found = self._connection.execute("DELETE FROM files WHERE name = ? RETURNING number", (name,)).fetchone()
        return None if found is None else found[0]

    def delete_pieces(self, number: int) -> bool:
        """Delete some pieces of a file; return whether there may be more."""
        query = "DELETE FROM pieces WHERE rowid IN (SELECT rowid FROM pieces WHERE file = ? LIMIT ?)"
        return self._connection.execute(query, (number, AT_ONCE)).rowcount == AT_ONCE
