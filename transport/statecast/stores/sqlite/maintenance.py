"""Looking after the file of a SQLite store from outside, also while a server has it: find damage, and copy it.

Both only read it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from statecast.stores.errors import Damaged, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import SavedThread

from .database import MIGRATIONS, era_of
from .lock import make_private
from .records import SUMMARY, damage_of
from .recovery import Left, bring_in, left_beside
from .rows import as_text, from_names
from .threads import load

__all__ = ["back_up", "damage_in"]

#: How many of SQLite's own findings are named.
MOST: Final = 100

#: Bytes that any secret has at least.
SHORTEST: Final = 32

#: Seconds to wait for a lock that others hold for a moment.
PATIENCE: Final = 10.0

#: What rows of other tables must hold, in the order of the columns.
_TABLES: Final[tuple[tuple[str, str, str, tuple[type, ...]], ...]] = (
    ("notes", "record", "id, owner, thread_id, kind, data", (str, str, str, str, bytes)),
    ("files", "file", "name, type, owner, size", (str, str, str, int)),
    ("pieces", "piece of the file", "file, start, data", (int, int, bytes)),
    ("secrets", "secret", "name, data", (str, bytes)),
    ("inbox", "batch", "run_id, row, data", (str, int, bytes)),
    ("applied", "id of a command", "command_id, row, digest, run_id", (str, int, bytes, str)),
)


def damage_in(path: Path, readable: Callable[[SavedThread], object]) -> Iterator[str]:
    """Check a file, and yield a line for everything that is damaged in it.

    Args:
        path: The file.
        readable: Raises for a thread whose state, log or inbox cannot be read.

    Raises:
        StoreUnavailable: It cannot be opened, or holds no store.
    """
    with _reading(path) as connection:
        for (line,) in connection.execute(f"PRAGMA integrity_check({MOST})"):
            if line != "ok":
                yield f"the file: {line}"
        if not era_of(connection):
            yield "the era cannot be read: the next start begins another"
        left = left_beside(connection, _place(path))
        yield from left.damage
        for found in _rows(connection, "SELECT owner, thread_id FROM threads"):
            key = from_names(*found)
            if key is None:
                yield f"a thread: its name cannot be read: {found!r}"
            else:
                yield from _of_thread(connection, left, key, readable)
        for row in _rows(connection, f"SELECT {SUMMARY} FROM cards"):
            yield from (f"the summary of {row[1]!r}: {what}" for what in damage_of(row))
        for table, what, columns, types in _TABLES:
            for row in _rows(connection, f"SELECT {columns} FROM {table}"):
                if not all(map(isinstance, row, types)):
                    yield f"the {what} {row[0]!r} cannot be read"
        for name, data in _rows(connection, "SELECT name, data FROM secrets"):
            if isinstance(data, bytes) and len(data) < SHORTEST:
                yield f"the secret {name!r} is cut off"
        there = "(SELECT ifnull(sum(length(data)), 0) FROM pieces WHERE file = number)"
        query = f"SELECT name FROM files WHERE size != {there}"
        for (name,) in _rows(connection, query):
            yield f"the file {name!r} is not whole"
        for id, thread_id, data in _rows(connection, "SELECT id, thread_id, data FROM notes WHERE kind != 'named'"):
            if isinstance(data, bytes) and not _is_json(data):
                yield f"the record {id!r} of the thread {thread_id!r} cannot be read"


def _of_thread(
    connection: sqlite3.Connection, left: Left, key: Key, readable: Callable[[SavedThread], object]
) -> Iterator[str]:
    try:
        _, saved = load(connection, left.entries, "", key)
        if saved is not None:
            readable(saved)
    except StoreUnavailable:
        raise
    except Exception as error:  # whatever is wrong with what is kept of one thread
        whose = "" if key.owner is None else f" of {key.owner!r}"
        what = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
        yield f"the thread {key.thread_id!r}{whose}: {what}"


def back_up(path: Path, to: Path) -> None:
    """Copy a file, with what its log and its segments hold, as they are at one moment.

    The copy appears when it is complete. No segment belongs to it: not even those beside the file that it may replace.

    Raises:
        StoreUnavailable: The file cannot be read, or holds no store; the copy cannot be written.
        FileExistsError: There is something of that name already.
    """
    if to.exists():
        raise FileExistsError(f"expected the name of a new file, got {to}, which already exists")
    part = to.with_name(f".{to.name}-{secrets.token_hex(4)}")
    with _reading(path) as connection:
        try:
            make_private(part)
            copy = sqlite3.connect(part)
            try:
                copy.isolation_level = None
                connection.backup(copy)
                bring_in(copy, left_beside(connection, _place(path)))
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            finally:
                copy.close()
            os.rename(part, to)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the copy {to} cannot be written: {error}") from error
        finally:
            for suffix in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{part}{suffix}")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file for reading, within one transaction.

    Raises:
        StoreUnavailable: It cannot be opened, or holds no store.
    """
    if not path.is_file():
        raise StoreUnavailable(f"expected the file of a store, got {path}, which does not exist")
    try:
        with contextlib.closing(_connected(path)) as connection:
            connection.text_factory = as_text
            connection.execute("BEGIN")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != len(MIGRATIONS):
                message = (
                    f"{path} has schema {version}, and this version of Statecast reads only schema {len(MIGRATIONS)}"
                )
                raise StoreUnavailable(message)
            yield connection
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    # Without a log beside it, nobody has the file, and nothing need be made there to read it.
    how = "mode=ro" if os.path.exists(f"{_place(path)}-wal") else "mode=ro&immutable=1"
    address = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)


def _place(path: Path) -> Path:
    """Return where a file is, however it is named: its log and its segments are beside it."""
    return Path(os.path.realpath(path))


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows up to the first one that SQLite cannot read; its own check has reported that."""
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from connection.execute(query)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return False
    return True
