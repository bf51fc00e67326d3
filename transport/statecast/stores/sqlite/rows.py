"""What rows of the SQLite store's file have to be: a value that was damaged on the disk is noticed where it is read.

SQLite does not notice a flipped byte within a value, and what else writes to the file may leave values of any type.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from statecast.stores.errors import Damaged
from statecast.stores.key import Key

__all__ = ["as_text", "checked", "from_names", "is_corrupt", "owner_of", "whole_rows"]


def as_text(data: bytes) -> str | bytes:
    """Return a column of text; bytes that are none stay bytes, which is no text to anybody who reads them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def checked(what: str, rows: Sequence[tuple[Any, ...]], *types: type | tuple[type, ...]) -> Sequence[tuple[Any, ...]]:
    """Return rows whose columns have the types they must have.

    Raises:
        Damaged: One has another.
    """
    for row in rows:
        for value, type in zip(row, types, strict=True):
            if not isinstance(value, type):
                raise Damaged(f"{what} cannot be read: expected {type}, got {repr(value)[:40]}")
    return rows


def is_corrupt(error: Exception) -> bool:
    """Whether SQLite found something in the file that cannot be, rather than no way to read it."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_CORRUPT


def whole_rows(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows up to the first that SQLite cannot find its way to."""
    found = []
    try:
        for row in rows:
            found.append(row)  # noqa: PERF402  # what came before an error is kept
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
    return found


def owner_of(column: str) -> str | None:
    """Return the owner that a column names, see `owner_name`."""
    return None if column == "" else column[1:]


def from_names(owner: Any, thread_id: Any) -> Key | None:
    """Return the key of two columns; None if they hold none."""
    if not isinstance(owner, str) or not isinstance(thread_id, str):
        return None
    return Key(owner_of(owner), thread_id)
