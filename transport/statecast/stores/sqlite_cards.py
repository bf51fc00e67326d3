"""What the SQLite store keeps beside the threads: cards, notes, files and secrets.

Everything here happens on the store's own thread.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from .seam import Card, Described, Erased, File, Key, Moved, Noted, described

__all__ = [
    "delete",
    "file",
    "from_names",
    "is_owned",
    "keep_file",
    "listed",
    "move",
    "named",
    "names",
    "read_card",
    "secret",
    "write",
]

_CARD: Final = "owner, thread_id, created, updated, last, archived, title, external_id, custom"


def names(key: Key) -> tuple[str, str]:
    """Return a key's columns; no owner is "", and an owner starts with "=" so that none is mistaken for it."""
    return owner_name(key.owner), key.thread_id


def owner_name(owner: str | None) -> str:
    """Return an owner's column."""
    return "" if owner is None else f"={owner}"


def from_names(owner: str, thread_id: str) -> Key:
    """Return the key of two columns."""
    return Key(None if owner == "" else owner[1:], thread_id)


def write(connection: sqlite3.Connection, change: Described | Noted | Erased) -> None:
    """Write a change of a card or of a note."""
    if isinstance(change, Described):
        card = described(read_card(connection, change.key), change)
        values = (
            *names(card.key),
            card.created,
            card.updated,
            card.last,
            card.archived,
            card.title,
            card.external_id,
            card.custom,
        )
        connection.execute(f"INSERT OR REPLACE INTO cards ({_CARD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    elif isinstance(change, Noted):
        query = (
            "INSERT INTO notes (owner, thread_id, kind, id, data) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (owner, thread_id, kind, id) DO UPDATE SET data = excluded.data"
        )
        connection.execute(query, (*names(change.key), change.kind, change.id, change.data))
    else:
        query = "DELETE FROM notes WHERE owner = ? AND thread_id = ? AND kind = ? AND id = ?"
        connection.execute(query, (*names(change.key), change.kind, change.id))


def move(connection: sqlite3.Connection, change: Moved) -> None:
    """Make a thread another owner's, and all that is kept with it."""
    for table in ("threads", "cards", "notes"):
        query = f"UPDATE {table} SET owner = ? WHERE owner = ? AND thread_id = ?"  # names from the line above
        connection.execute(query, (owner_name(change.owner), *names(change.key)))


def delete(connection: sqlite3.Connection, key: Key) -> None:
    """Delete a thread's card and notes."""
    for table in ("cards", "notes"):
        query = f"DELETE FROM {table} WHERE owner = ? AND thread_id = ?"  # names from the line above
        connection.execute(query, names(key))


def read_card(connection: sqlite3.Connection, key: Key) -> Card | None:
    """Return a thread's card."""
    query = f"SELECT {_CARD} FROM cards WHERE owner = ? AND thread_id = ?"
    row = connection.execute(query, names(key)).fetchone()
    return None if row is None else _card(row)


def listed(
    connection: sqlite3.Connection,
    owner: str | None,
    archived: bool | None,
    before: tuple[float, str] | None,
    limit: int,
) -> list[Card]:
    """Return an owner's cards, the latest first."""
    query, values = f"SELECT {_CARD} FROM cards WHERE owner = ?", [owner_name(owner)]
    more: list[Any] = []
    if archived is not None:
        query += " AND archived = ?"
        more.append(archived)
    if before is not None:
        query += " AND (last, thread_id) < (?, ?)"
        more += before
    query += " ORDER BY last DESC, thread_id DESC LIMIT ?"
    return [_card(row) for row in connection.execute(query, (*values, *more, limit))]


def named(connection: sqlite3.Connection, owner: str | None, external_id: str) -> Card | None:
    """Return the oldest card of an owner's with an external id."""
    query = f"SELECT {_CARD} FROM cards WHERE owner = ? AND external_id = ? ORDER BY created, thread_id LIMIT 1"
    row = connection.execute(query, (owner_name(owner), external_id)).fetchone()
    return None if row is None else _card(row)


def is_owned(connection: sqlite3.Connection, thread_id: str) -> bool:
    """Whether there is a card of this id that is somebody's."""
    query = "SELECT 1 FROM cards WHERE thread_id = ? AND owner != '' LIMIT 1"
    return connection.execute(query, (thread_id,)).fetchone() is not None


def notes(connection: sqlite3.Connection, key: Key, kind: str) -> list[tuple[str, bytes]]:
    """Return what is noted with a thread."""
    query = "SELECT id, data FROM notes WHERE owner = ? AND thread_id = ? AND kind = ? ORDER BY place"
    return connection.execute(query, (*names(key), kind)).fetchall()


def secret(connection: sqlite3.Connection, name: str, fresh: bytes) -> bytes:
    """Return a secret, the first that was offered."""
    connection.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, fresh))
    (data,) = connection.execute("SELECT data FROM secrets WHERE name = ?", (name,)).fetchone()
    return bytes(data)


def keep_file(connection: sqlite3.Connection, file: File) -> None:
    """Keep a file."""
    values = (file.name, file.type, owner_name(file.owner), file.data)
    connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", values)


def file(connection: sqlite3.Connection, name: str) -> File | None:
    """Return a file."""
    row = connection.execute("SELECT type, data, owner FROM files WHERE name = ?", (name,)).fetchone()
    return None if row is None else File(name, row[0], row[1], from_names(row[2], "").owner)


def drop_file(connection: sqlite3.Connection, name: str) -> None:
    """Keep a file no longer."""
    connection.execute("DELETE FROM files WHERE name = ?", (name,))


def _card(row: tuple[Any, ...]) -> Card:
    owner, thread_id, created, updated, last, archived, title, external_id, custom = row
    return Card(
        key=from_names(owner, thread_id),
        created=created,
        updated=updated,
        last=last,
        archived=bool(archived),
        title=title,
        external_id=external_id,
        custom=custom,
    )
