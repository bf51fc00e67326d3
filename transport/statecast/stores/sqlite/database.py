"""The file of the SQLite store: what its schema is, which era it is in, and whether it is still there.

It is in WAL mode: other programs may read it at any time, and none waits for another.

An era is the time in which a file has lost nothing. A new one begins when the end of a log may be lost, and then the
epochs of all threads made before are others.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from statecast.stores.clock import Clock
from statecast.stores.errors import StoreUnavailable

from .lock import make_private, take_mark
from .rows import as_text

__all__ = ["MIGRATIONS", "Files", "begin_era", "clock_of", "era_of", "is_busy", "keep_time", "open_file"]

#: The names of the era and of the store's time in the table `about`.
ERA: Final = "era"
CLOCK: Final = "clock"

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
    "CREATE TABLE latest (place INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    """
    CREATE TABLE cards (
        owner TEXT NOT NULL, thread_id TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, last REAL NOT NULL,
        archived INTEGER NOT NULL, title TEXT, external_id TEXT, custom BLOB NOT NULL, PRIMARY KEY (owner, thread_id)
    ) WITHOUT ROWID;
    CREATE INDEX cards_listed ON cards (owner, last, thread_id);
    CREATE INDEX cards_filed ON cards (owner, archived, last, thread_id);
    CREATE INDEX cards_updated ON cards (updated);
    INSERT INTO cards SELECT owner, thread_id, written, written, written, 0, NULL, NULL, CAST('null' AS BLOB)
        FROM threads WHERE lasting = 1;
    CREATE TABLE notes (
        place INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, thread_id TEXT NOT NULL, kind TEXT NOT NULL,
        id TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (owner, thread_id, kind, id)
    );
    CREATE TABLE files (name TEXT PRIMARY KEY, type TEXT NOT NULL, owner TEXT NOT NULL, data BLOB NOT NULL);
    CREATE TABLE secrets (name TEXT PRIMARY KEY, data BLOB NOT NULL)
    """,
    """
    CREATE INDEX cards_named ON cards (owner, external_id) WHERE external_id IS NOT NULL;
    CREATE INDEX cards_of_any ON cards (thread_id, owner)
    """,
    """
    ALTER TABLE threads ADD COLUMN era TEXT NOT NULL DEFAULT '';
    CREATE TABLE about (name TEXT PRIMARY KEY, value NOT NULL)
    """,
    """
    ALTER TABLE cards ADD COLUMN used REAL NOT NULL DEFAULT 0;
    UPDATE cards SET used = updated;
    DROP INDEX cards_updated;
    CREATE INDEX cards_used ON cards (used)
    """,
    """
    CREATE TABLE pieces (file INTEGER NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (file, start));
    CREATE TABLE whole (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL, owner TEXT NOT NULL,
        size INTEGER NOT NULL
    );
    INSERT INTO whole SELECT rowid, name, type, owner, length(data) FROM files;
    INSERT INTO pieces SELECT rowid, 0, data FROM files;
    DROP TABLE files;
    ALTER TABLE whole RENAME TO files
    """,
)


def open_file(path: Path, *, durable: bool, patience: float) -> sqlite3.Connection:
    """Open a file, and bring its schema and its era up to date. It is for the caller to lock it, and for checkpoints.

    Args:
        path: The file; made if it is not there.
        durable: Whether each commit waits until the disk has it.
        patience: Seconds to wait for other programs now. Later the connection does not wait for them at all.

    Raises:
        StoreUnavailable: An older version of Statecast has it open, or a newer one wrote it.
        sqlite3.Error: It is no SQLite file.
    """
    untouched = take_mark(path)
    for suffix in ("", "-wal", "-shm"):
        if not suffix or os.path.exists(f"{path}{suffix}"):
            make_private(Path(f"{path}{suffix}"))
    connection = sqlite3.connect(
        path, timeout=patience, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.text_factory = as_text
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        _migrate(connection, path)
        if not untouched or not era_of(connection):
            begin_era(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            message = f"expected {path} to be free, but another process has it open; give each its own file"
            raise StoreUnavailable(message) from error
        raise
    except (sqlite3.Error, StoreUnavailable):
        connection.close()
        raise
    return connection


def is_busy(error: Exception) -> bool:
    """Whether another program holds a lock, and nothing else is wrong."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_BUSY  # whichever kind


def begin_era(connection: sqlite3.Connection) -> None:
    """Begin a new era: the end of a log is lost, or may be."""
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (ERA, secrets.token_hex(4)))


def keep_time(connection: sqlite3.Connection, clock: Clock) -> None:
    """Keep the store's time."""
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (CLOCK, clock.written()))


def clock_of(connection: sqlite3.Connection) -> Clock:
    """Return the clock that goes on from the time that was kept."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (CLOCK,)).fetchone()
    return Clock(None if found is None else found[0])


def era_of(connection: sqlite3.Connection) -> str:
    """Return the era of a file, of its latest loss on; empty if it has none."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (ERA,)).fetchone()
    return found[0] if found is not None and isinstance(found[0], str) else ""


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        message = f"{path} was written by a newer version: it has schema {version}, this one {len(MIGRATIONS)}"
        raise StoreUnavailable(message)
    for script in MIGRATIONS[version:]:
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


class Files:
    """A file that is open, and its log.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        paths = (str(path), f"{path}-wal")
        self._identities = [(path, _identity(os.stat(path))) for path in paths]

    def check(self) -> int:
        """Return the bytes of the log.

        Raises:
            StoreUnavailable: One of the two was deleted or replaced. It would be written to as if it were there, and
                nobody could find it again.
        """
        size = 0
        for path, identity in self._identities:
            try:
                found = os.stat(path)
                there = _identity(found) == identity
                size = found.st_size
            except FileNotFoundError:
                there = False
            if not there:
                raise StoreUnavailable(f"{path} was deleted or replaced while it was open; put it back, or start again")
        return size


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
