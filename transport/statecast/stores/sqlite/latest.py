"""The table `latest`, which files had up to schema 7: entries of all threads, a row for each commit.

They were also in the table `entries` once there were enough of a thread. What was only in `latest` moves there.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from statecast.stores.log import Kind

from .entries import following, write
from .rows import is_corrupt

__all__ = ["move_latest"]

_log: Final = logging.getLogger("statecast")

_unpack: Final = msgspec.msgpack.Decoder(list[tuple[int, int, Kind, bytes]]).decode


def move_latest(connection: sqlite3.Connection, path: Path) -> bool:
    """Move all entries of the table to `entries`; return whether some are lost, because they cannot be read."""
    found: dict[int, list[tuple[int, Kind, bytes]]] = {}
    lost = 0
    for data in _rows(connection):
        try:
            for row, revision, kind, entry in _unpack(data):
                found.setdefault(row, []).append((revision, kind, entry))
        except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
            lost += 1
    write(connection, following(connection, found))
    if lost:
        _log.error(
            "the store %s is damaged: %d of its latest commits cannot be read, and some threads have lost their last"
            " entries; `statecast check` names what else is damaged",
            path,
            lost,
        )
    return lost > 0


def _rows(connection: sqlite3.Connection) -> Iterator[Any]:
    """Yield the rows; None for one that SQLite cannot read."""
    for (place,) in connection.execute("SELECT place FROM latest ORDER BY place").fetchall():
        try:
            (data,) = connection.execute("SELECT data FROM latest WHERE place = ?", (place,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            data = None
        yield data
