"""The SQLite store: one file, nothing to install.

The file is in WAL mode and belongs to one process at a time: it is locked while it is open, so a second process is
refused rather than let in to write its own truth. All work happens on one thread of the store's own, a transaction for
everything that became ready together. A committed transaction survives the process; with `durable=True` also the loss
of power, at the cost of one sync a commit.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from .seam import (
    Accepted,
    Appended,
    Applied,
    Change,
    Compacted,
    Created,
    Deleted,
    Key,
    Kind,
    Saved,
    Settled,
    StoreUnavailable,
)

__all__ = ["SqliteStore"]

_T = TypeVar("_T")

#: Each brings the schema from the version that is its index to the next; `PRAGMA user_version` says what a file has.
MIGRATIONS: Final = (
    """
    CREATE TABLE threads (
        row INTEGER PRIMARY KEY, owner TEXT NOT NULL, thread_id TEXT NOT NULL, agent TEXT NOT NULL,
        epoch TEXT NOT NULL, lasting INTEGER NOT NULL, revision INTEGER NOT NULL, state BLOB NOT NULL,
        run BLOB NOT NULL, open INTEGER NOT NULL, written REAL NOT NULL, UNIQUE (owner, thread_id)
    );
    CREATE INDEX threads_written ON threads (lasting, written);
    CREATE INDEX threads_open ON threads (row) WHERE open = 1;
    CREATE TABLE entries (
        row INTEGER NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (row, revision)
    ) WITHOUT ROWID;
    CREATE TABLE inbox (
        place INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL, run_id TEXT NOT NULL, data BLOB NOT NULL
    );
    CREATE INDEX inbox_row ON inbox (row, run_id);
    CREATE TABLE applied (
        row INTEGER NOT NULL, command_id TEXT NOT NULL, digest BLOB NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (row, command_id)
    ) WITHOUT ROWID;
    """,
)

#: Rows in one statement, as a power of two; SQLite takes 32,766 values.
MOST_ROWS: Final = 11

#: Seconds between updates of a thread's `written`, which only retention reads.
TOUCH_EVERY: Final = 30.0


class SqliteStore:
    """Keeps threads in a file.

    Args:
        path: The file; made if it is not there.
        durable: Whether a commit waits until the disk has it, so that it survives the loss of power.
        patience: Seconds to wait for another process to let go of the file.
    """

    instant: ClassVar[bool] = False

    def __init__(self, path: str | Path, *, durable: bool = False, patience: float = 2.0) -> None:
        self.path = Path(path)
        self._durable = durable
        self._patience = patience
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._files: list[tuple[Path, tuple[int, int]]] = []  #: what is open, by device and number
        self._rows: dict[Key, int] = {}
        self._touched: dict[int, float] = {}

    async def open(self) -> None:
        """Open the file, lock it, and bring its schema up to date.

        Raises:
            StoreUnavailable: Another process has it, it is no SQLite file, or a newer version of Statecast wrote it.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-sqlite")
        try:
            await self._do(self._open)
        except BaseException:
            self._end_thread()
            raise

    async def aclose(self) -> None:
        """Close the file, if it is open; it may be opened again."""
        if self._thread is not None:
            try:
                await self._do(self._close)
            finally:
                self._end_thread()

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("the SQLite store writes on a thread of its own: use commit()")

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction.

        Raises:
            StoreUnavailable: The disk is full, or the file is gone; nothing was written.
        """
        await self._do(self._commit, changes)

    async def load(self, key: Key) -> Saved | None:
        """Return what the file holds of a thread."""
        return await self._do(self._load, key)

    async def unsettled(self) -> list[Key]:
        """Return the threads with work left."""
        return await self._do(
            self._keys, "SELECT owner, thread_id FROM threads WHERE open = 1 OR row IN (SELECT row FROM inbox)"
        )

    async def idle_since(self, before: float, *, lasting: bool) -> list[Key]:
        """Return threads not written to since a time; what was written in the half minute before it may not count."""
        query = "SELECT owner, thread_id FROM threads WHERE lasting = ? AND written < ?"
        return await self._do(self._keys, query, lasting, before)

    def _end_thread(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _do(self, function: Callable[..., _T], *args: Any) -> _T:
        if self._thread is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the store {self.path} failed: {error}") from error

    def _open(self) -> None:
        if self._connection is not None:
            return
        connection = sqlite3.connect(
            self.path, timeout=self._patience, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            self._migrate(connection)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" in str(error):
                message = f"expected {self.path} to be free, but another process has it open; give each its own file"
                raise StoreUnavailable(message) from error
            raise
        except (sqlite3.Error, StoreUnavailable):
            connection.close()
            raise
        self._connection = connection
        self._rows.clear()
        self._touched.clear()
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        self._files = [(path, _identity(path)) for path in files]

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            message = f"{self.path} was written by a newer version: it has schema {version}, this one {len(MIGRATIONS)}"
            raise StoreUnavailable(message)
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        return self._connection

    def _commit(self, changes: Sequence[Change]) -> None:
        connection = self._open_connection
        self._check_files()
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # the one below did not go through
        now = time.time()
        try:
            connection.execute("BEGIN IMMEDIATE")
            touched = self._write(connection, changes, now)
            connection.execute("COMMIT")
        except BaseException:
            self._rows.clear()  # rows made in the transaction are not there
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._touched.update(dict.fromkeys(touched, now))

    def _check_files(self) -> None:
        """Refuse to write what nobody could find again: a file that was deleted is written to as if it were there."""
        for path, identity in self._files:
            try:
                found = _identity(path)
            except FileNotFoundError:
                found = None
            if found != identity:
                raise StoreUnavailable(f"{path} was deleted or replaced while it was open; put it back, or start again")

    def _write(self, connection: sqlite3.Connection, changes: Sequence[Change], now: float) -> list[int]:
        """Write changes in their order; neighbouring entries go in one statement. Returns the threads touched."""
        entries: list[tuple[int, int, str, bytes]] = []
        rows: set[int] = set()
        for change in changes:
            if type(change) is Appended:
                row = self._row(connection, change.key)
                entries.append((row, change.revision, change.kind, change.data))
                rows.add(row)
                if change.open is not None:
                    connection.execute("UPDATE threads SET open = ? WHERE row = ?", (change.open, row))
                continue
            if entries:
                self._insert(connection, entries)
                entries = []
            self._write_one(connection, change)
        if entries:
            self._insert(connection, entries)
        late = [row for row in rows if now - self._touched.get(row, 0.0) > TOUCH_EVERY]
        if late:
            connection.executemany("UPDATE threads SET written = ? WHERE row = ?", [(now, row) for row in late])
        return late

    def _insert(self, connection: sqlite3.Connection, entries: list[tuple[int, int, str, bytes]]) -> None:
        # Many rows in one statement: between statements this thread lets go of the interpreter, and while the event
        # loop is busy it gets it back only milliseconds later.
        start = 0
        while start < len(entries):
            rows = 1 << min((len(entries) - start).bit_length() - 1, MOST_ROWS)
            values = [value for entry in entries[start : start + rows] for value in entry]
            connection.execute(_insert_of(rows), values)
            start += rows

    def _write_one(self, connection: sqlite3.Connection, change: Change) -> None:
        execute = connection.execute
        if isinstance(change, Created):
            execute(
                "INSERT INTO threads (owner, thread_id, agent, epoch, lasting, revision, state, run, open, written)"
                " VALUES (?, ?, ?, ?, ?, 0, ?, 'null', 0, ?)",
                (
                    *_names(change.key),
                    change.agent,
                    change.epoch,
                    change.lasting,
                    change.state,
                    time.time(),
                ),
            )
            return
        if isinstance(change, Deleted):
            self._delete(connection, change.key)
            return
        row = self._row(connection, change.key)
        if isinstance(change, Accepted):
            execute("INSERT INTO inbox (row, run_id, data) VALUES (?, ?, ?)", (row, change.run_id, change.data))
        elif isinstance(change, Settled):
            execute("DELETE FROM inbox WHERE row = ? AND run_id = ?", (row, change.run_id))
        elif isinstance(change, Applied):
            values = (row, change.command_id, change.digest, change.run_id)
            execute("INSERT OR REPLACE INTO applied VALUES (?, ?, ?, ?)", values)
        elif isinstance(change, Compacted):
            execute("DELETE FROM entries WHERE row = ? AND revision <= ?", (row, change.revision))
            values_of = (change.revision, change.state, change.run, row)
            execute("UPDATE threads SET revision = ?, state = ?, run = ? WHERE row = ?", values_of)

    def _delete(self, connection: sqlite3.Connection, key: Key) -> None:
        row = self._find_row(connection, key)
        if row is not None:
            for table in ("entries", "inbox", "applied", "threads"):
                connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))  # names from the line above
            self._rows.pop(key, None)
            self._touched.pop(row, None)  # the next thread may get its number

    def _row(self, connection: sqlite3.Connection, key: Key) -> int:
        row = self._find_row(connection, key)
        if row is None:
            raise StoreUnavailable(f"the store {self.path} has no thread {key.thread_id!r} to write to")
        return row

    def _find_row(self, connection: sqlite3.Connection, key: Key) -> int | None:
        row = self._rows.get(key)
        if row is None:
            query = "SELECT row FROM threads WHERE owner = ? AND thread_id = ?"
            found = connection.execute(query, _names(key)).fetchone()
            if found is not None:
                row = self._rows[key] = found[0]
        return row

    def _load(self, key: Key) -> Saved | None:
        connection = self._open_connection
        query = "SELECT row, agent, epoch, lasting, revision, state, run FROM threads WHERE owner = ? AND thread_id = ?"
        found = connection.execute(query, _names(key)).fetchone()
        if found is None:
            return None
        row, agent, epoch, lasting, revision, state, run = found
        query = "SELECT revision, kind, data FROM entries WHERE row = ? ORDER BY revision"
        entries: list[tuple[int, Kind, bytes]] = connection.execute(query, (row,)).fetchall()
        inbox = connection.execute("SELECT run_id, data FROM inbox WHERE row = ? ORDER BY place", (row,)).fetchall()
        applied = connection.execute("SELECT command_id, digest, run_id FROM applied WHERE row = ?", (row,))
        return Saved(
            key=key,
            agent=agent,
            epoch=epoch,
            lasting=bool(lasting),
            revision=revision,
            state=state,
            run=run if isinstance(run, bytes) else run.encode(),
            entries=entries,
            inbox=inbox,
            applied={command_id: (digest, run_id) for command_id, digest, run_id in applied},
        )

    def _keys(self, query: str, *values: Any) -> list[Key]:
        found = self._open_connection.execute(query, values).fetchall()
        return [Key(None if owner == "" else owner[1:], thread_id) for owner, thread_id in found]


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _names(key: Key) -> tuple[str, str]:
    """Return a key's columns; no owner is "", and an owner starts with "=" so that none is mistaken for it."""
    return ("" if key.owner is None else f"={key.owner}"), key.thread_id


@functools.cache
def _insert_of(rows: int) -> str:
    return "INSERT INTO entries VALUES " + ", ".join(["(?, ?, ?, ?)"] * rows)
