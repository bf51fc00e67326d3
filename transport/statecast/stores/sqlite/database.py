"""The file of the SQLite store: its schema, its era, and whether it still exists.

It is in WAL mode: other programs may read it at any time, and nobody waits for anybody.

An era is a time in which the file lost nothing. When the end of a log may be lost, a new era begins, and the epochs of
all older threads change.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from statecast.stores.clock import Clock
from statecast.stores.errors import StoreUnavailable

from .latest import move_latest
from .lock import in_use, make_private, remove_marker
from .rows import as_text

__all__ = [
    "MIGRATIONS",
    "OpenFiles",
    "applied_of",
    "begin_era",
    "begin_generation",
    "clock_of",
    "era_of",
    "generations_of",
    "is_busy",
    "open_file",
    "store_applied",
    "store_time",
]

#: The names in the table `about`: of the era, of the store's time, of the generation of the segments and the one before
#: it, and of the number of the last commit of which everything but entries is in the file.
ERA: Final = "era"
CLOCK: Final = "clock"
GENERATION: Final = "generation"
GENERATION_BEFORE: Final = "generation before"
APPLIED: Final = "applied"

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
    "DROP TABLE latest",
)


#: The schema whose migration drops the table `latest`.
WITHOUT_LATEST: Final = 7


def open_file(path: Path, *, durable: bool, patience: float) -> sqlite3.Connection:
    """Open a file and migrate its schema. The caller locks the file and makes the checkpoints.

    Args:
        path: The file; made if it is not there.
        durable: Whether each commit waits until the disk has it.
        patience: Seconds to wait for other programs now; later the connection does not wait for them.

    Raises:
        StoreUnavailable: An older version of Statecast has it open, or a newer one wrote it.
        sqlite3.Error: It is no SQLite file.
    """
    unchanged = remove_marker(path)
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
        if not unchanged or not era_of(connection):
            begin_era(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise in_use(path) from error
        raise
    except (sqlite3.Error, StoreUnavailable):
        connection.close()
        raise
    return connection


def is_busy(error: Exception) -> bool:
    """Return whether the error is only that another program holds a lock."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_BUSY  # whichever kind


def begin_era(connection: sqlite3.Connection) -> None:
    """Begin a new era, after the end of a log was or may have been lost."""
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (ERA, secrets.token_hex(4)))


def store_time(connection: sqlite3.Connection, clock: Clock) -> None:
    """Store the time of the store's clock."""
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (CLOCK, clock.written()))


def clock_of(connection: sqlite3.Connection, clock: Callable[[], float] = time.monotonic) -> Clock:
    """Return a clock that continues from the stored time."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (CLOCK,)).fetchone()
    return Clock(None if found is None else found[0], clock=clock)


def begin_generation(connection: sqlite3.Connection) -> str:
    """Begin a new generation of segments, and return its name. Numbers of commits begin anew."""
    before, _ = generations_of(connection)
    name = secrets.token_hex(8)
    values = [(GENERATION, name), (GENERATION_BEFORE, before), (APPLIED, 0)]
    connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values)
    return name


def generations_of(connection: sqlite3.Connection) -> tuple[str, str]:
    """Return the generation of the segments, and the one before; empty if there is none that can be read."""
    query = "SELECT name, value FROM about WHERE name IN (?, ?)"
    found = dict(connection.execute(query, (GENERATION, GENERATION_BEFORE)).fetchall())
    name, before = (found.get(which, "") for which in (GENERATION, GENERATION_BEFORE))
    return name if isinstance(name, str) else "", before if isinstance(before, str) else ""


def store_applied(connection: sqlite3.Connection, number: int) -> None:
    """Store the number of the last commit of which everything but entries is in the file."""
    connection.execute("UPDATE about SET value = ? WHERE name = ?", (number, APPLIED))


def applied_of(connection: sqlite3.Connection) -> int:
    """Return what `store_applied` stored."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (APPLIED,)).fetchone()
    return found[0] if found is not None and isinstance(found[0], int) else 0


def era_of(connection: sqlite3.Connection) -> str:
    """Return the era of a file; empty if it has none that can be read."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (ERA,)).fetchone()
    return found[0] if found is not None and isinstance(found[0], str) else ""


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        expected = f"expected {path} to have at most schema {len(MIGRATIONS)}"
        message = f"{expected}, got {version}, of a newer version; upgrade Statecast"
        raise StoreUnavailable(message)
    for number, script in enumerate(MIGRATIONS[version:], version):
        if number == WITHOUT_LATEST and move_latest(connection, path):
            begin_era(connection)
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


class OpenFiles:
    """The store's file and its write-ahead log, while they are open.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        paths = (str(path), f"{path}-wal")
        self._identities = [(path, _identity(os.stat(path))) for path in paths]

    def check(self) -> int:
        """Check that both files are still there, and return the size of the log in bytes.

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
                raise StoreUnavailable(
                    f"{path} was deleted or replaced while it was open; restore it, or restart the server"
                )
        return size


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
