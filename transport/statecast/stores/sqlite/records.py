"""Summaries, records and secrets in the SQLite store: the tables `cards`, `notes` and `secrets`.

Everything here happens on the store's own thread.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any, Final

import msgspec

from statecast.stores.base import Moved
from statecast.stores.errors import Damaged
from statecast.stores.key import Key
from statecast.stores.records import RecordErased, RecordWritten, Summary, SummaryChanged, summary_after

from .rows import checked, is_corrupt, owner_of, readable_rows

__all__ = [
    "SUMMARY",
    "damage_of",
    "delete",
    "has_summary",
    "is_owned",
    "move",
    "names",
    "owner_name",
    "records",
    "secret",
    "summaries",
    "summary_named",
    "summary_of",
    "write",
]

_log: Final = logging.getLogger("statecast")

#: The columns of a summary.
SUMMARY: Final = "owner, thread_id, created, updated, last, archived, title, external_id, custom"

#: What a summary must have to be in a list, which is ordered by these two. The largest time is the last with a date.
LATEST: Final = 253_402_300_799
_LISTABLE: Final = f"last BETWEEN 0 AND {LATEST} AND typeof(thread_id) = 'text'"


def names(key: Key) -> tuple[str, str]:
    """Return a key's columns; no owner is "", and an owner starts with "=" so that none is mistaken for it."""
    return owner_name(key.owner), key.thread_id


def owner_name(owner: str | None) -> str:
    """Return an owner's column."""
    return "" if owner is None else f"={owner}"


def write(connection: sqlite3.Connection, change: SummaryChanged | RecordWritten | RecordErased, now: float) -> None:
    """Write a change of a summary or a record; `now` is the store's time."""
    if isinstance(change, SummaryChanged):
        summary = summary_after(summary_of(connection, change.key), change)
        values = (
            *names(summary.key),
            summary.created,
            summary.updated,
            summary.last,
            summary.archived,
            summary.title,
            summary.external_id,
            summary.custom,
            now,
        )
        connection.execute(
            f"INSERT OR REPLACE INTO cards ({SUMMARY}, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values
        )
    elif isinstance(change, RecordWritten):
        query = (
            "INSERT INTO notes (owner, thread_id, kind, id, data) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (owner, thread_id, kind, id) DO UPDATE SET data = excluded.data"
        )
        connection.execute(query, (*names(change.key), change.kind, change.id, change.data))
    else:
        query = "DELETE FROM notes WHERE owner = ? AND thread_id = ? AND kind = ? AND id = ?"
        connection.execute(query, (*names(change.key), change.kind, change.id))


def move(connection: sqlite3.Connection, change: Moved) -> None:
    """Give a thread, its summary and its records to another owner, in place of records there."""
    query = "DELETE FROM notes WHERE owner = ? AND thread_id = ?"
    connection.execute(query, (owner_name(change.owner), change.key.thread_id))
    for table in ("threads", "cards", "notes"):
        query = f"UPDATE {table} SET owner = ? WHERE owner = ? AND thread_id = ?"  # names from the line above
        connection.execute(query, (owner_name(change.owner), *names(change.key)))


def delete(connection: sqlite3.Connection, key: Key) -> None:
    """Delete a thread's summary and records."""
    for table in ("cards", "notes"):
        query = f"DELETE FROM {table} WHERE owner = ? AND thread_id = ?"  # names from the line above
        connection.execute(query, names(key))


def summary_of(connection: sqlite3.Connection, key: Key) -> Summary | None:
    """Return a thread's summary; None if it has none."""
    query = f"SELECT {SUMMARY} FROM cards WHERE owner = ? AND thread_id = ?"
    row = connection.execute(query, names(key)).fetchone()
    return None if row is None else _summary(row)


def has_summary(connection: sqlite3.Connection, key: Key) -> bool:
    """Return whether a thread has a summary."""
    return (
        connection.execute("SELECT 1 FROM cards WHERE owner = ? AND thread_id = ?", names(key)).fetchone() is not None
    )


def summaries(
    connection: sqlite3.Connection,
    owner: str | None,
    archived: bool | None,
    before: tuple[float, str] | None,
    limit: int,
) -> list[Summary]:
    """Return the summaries of an owner's threads, the latest first."""
    query, values = f"SELECT {SUMMARY} FROM cards WHERE owner = ? AND {_LISTABLE}", [owner_name(owner)]
    more: list[Any] = []
    if archived is not None:
        query += " AND archived = ?"
        more.append(archived)
    if before is not None:
        query += " AND (last, thread_id) < (?, ?)"
        more += before
    query += " ORDER BY last DESC, thread_id DESC LIMIT ?"
    return [_summary(row) for row in readable_rows(connection.execute(query, (*values, *more, limit)))]


def summary_named(connection: sqlite3.Connection, owner: str | None, external_id: str) -> Summary | None:
    """Return the oldest summary of an owner's thread with an external id."""
    query = f"SELECT {SUMMARY} FROM cards WHERE owner = ? AND external_id = ? ORDER BY created, thread_id LIMIT 1"
    row = connection.execute(query, (owner_name(owner), external_id)).fetchone()
    return None if row is None else _summary(row)


def is_owned(connection: sqlite3.Connection, thread_id: str) -> bool:
    """Return whether a thread with this id and an owner has a summary."""
    query = "SELECT 1 FROM cards WHERE thread_id = ? AND owner != '' LIMIT 1"
    return connection.execute(query, (thread_id,)).fetchone() is not None


def records(connection: sqlite3.Connection, key: Key, kind: str) -> list[tuple[str, bytes]]:
    """Return a thread's records of a kind."""
    query = "SELECT id, data FROM notes WHERE owner = ? AND thread_id = ? AND kind = ? ORDER BY place"
    try:
        found = connection.execute(query, (*names(key), kind)).fetchall()
    except sqlite3.DatabaseError as error:
        if is_corrupt(error):
            raise Damaged(f"the file: {error}") from None
        raise
    return [(id, data) for id, data in checked(f'a record of the kind "{kind}"', found, str, bytes)]


def secret(connection: sqlite3.Connection, name: str, fresh: bytes) -> bytes:
    """Return a secret; if there is none that can be read, `fresh` becomes it."""
    found = connection.execute("SELECT data FROM secrets WHERE name = ?", (name,)).fetchone()
    if found is not None and isinstance(found[0], bytes) and len(found[0]) >= len(fresh):
        return bytes(found[0])
    if found is not None:
        _log.error('the secret "%s" was damaged and was replaced: what it signed is no longer valid', name)
    connection.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?)", (name, fresh))
    return fresh


def _summary(row: tuple[Any, ...]) -> Summary:
    """Return a row as a summary, with defaults for damaged columns: a damaged title must not hide a thread."""
    owner, thread_id, created, updated, last, archived, title, external_id, custom = row
    latest = last if _is_time(last) else 0.0
    return Summary(
        key=Key(owner_of(owner), thread_id),
        created=created if _is_time(created) else latest,
        updated=updated if _is_time(updated) else latest,
        last=latest,
        archived=archived == 1,
        title=title if isinstance(title, str) else None,
        external_id=external_id if isinstance(external_id, str) else None,
        custom=custom if isinstance(custom, bytes) and _is_json(custom) else b"null",
    )


def damage_of(row: tuple[Any, ...]) -> list[str]:
    """Return a line for each column of a summary's row that cannot be read."""
    if not isinstance(row[0], str) or not isinstance(row[1], str):
        return ["its name cannot be read"]
    summary = _summary(row)
    columns = SUMMARY.split(", ")[2:]
    return [
        f"its {name} cannot be read: {repr(column)[:40]}"
        for name, column in zip(columns, row[2:], strict=True)
        if getattr(summary, name) != column
    ]


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= LATEST


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
