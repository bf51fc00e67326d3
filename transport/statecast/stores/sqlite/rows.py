"""Checks of what is read from the SQLite store's file, which find values that were damaged on the disk.

SQLite does not detect a flipped byte within a value, and other programs may write values of any type.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from statecast.stores.errors import Damaged
from statecast.stores.key import Key

__all__ = ["as_text", "checked", "from_names", "is_corrupt", "owner_of", "readable_rows"]


def as_text(data: bytes) -> str | bytes:
    """Return a column as text, or as the bytes that it is if it is not UTF-8; checks of types find those."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def checked(what: str, rows: Sequence[tuple[Any, ...]], *types: type | tuple[type, ...]) -> Sequence[tuple[Any, ...]]:
    """Return rows, after checking the types of their columns.

    Raises:
        Damaged: A column has another type.
    """
    for row in rows:
        for value, type in zip(row, types, strict=True):
            if not isinstance(value, type):
                raise Damaged(f"{what} cannot be read: expected {type}, got {repr(value)[:40]}")
    return rows


def is_corrupt(error: Exception) -> bool:
    """Return whether an error of SQLite says that the file is corrupt."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_CORRUPT


def readable_rows(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows up to the first one that SQLite cannot read."""
    found = []
    try:
        for row in rows:
            found.append(row)  # noqa: PERF402  # what came before an error is kept
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
    return found


def owner_of(column: str) -> str | None:
    """Return the owner of a column; `owner_name` is the reverse."""
    return None if column == "" else column[1:]


def from_names(owner: Any, thread_id: Any) -> Key | None:
    """Return the key of two columns; None if they are damaged."""
    if not isinstance(owner, str) or not isinstance(thread_id, str):
        return None
    return Key(owner_of(owner), thread_id)
