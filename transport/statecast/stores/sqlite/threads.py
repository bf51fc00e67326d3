"""Reads threads from the SQLite store: one of them, or the keys of several.

A damaged thread harms no other: `load` raises, and lists leave it out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from statecast.stores.errors import Damaged
from statecast.stores.key import Key
from statecast.stores.log import MEMORY, Kind, SavedThread

from .entries import entries_after
from .records import names, records
from .rows import checked, from_names, is_corrupt, readable_rows

__all__ = ["idle_since", "load", "unfinished"]

#: What is read of a row of `threads`.
_THREAD: Final = (int, str, str, str, int, int, bytes, (bytes, str))

_IDLE: Final = "SELECT owner, thread_id FROM threads WHERE lasting = ? AND written < ? AND typeof(written) = 'real'"
_IDLE_LASTING: Final = (
    f"{_IDLE} AND NOT EXISTS (SELECT 1 FROM cards WHERE cards.owner = threads.owner"
    " AND cards.thread_id = threads.thread_id AND used >= ?)"
    " UNION ALL SELECT owner, thread_id FROM cards WHERE used < ? AND typeof(used) = 'real'"
    " AND NOT EXISTS (SELECT 1 FROM threads"
    " WHERE threads.owner = cards.owner AND threads.thread_id = cards.thread_id)"
)


def load(
    connection: sqlite3.Connection, waiting: Mapping[int, Sequence[tuple[int, Kind, bytes]]], era: str, key: Key
) -> tuple[int | None, SavedThread | None]:
    """Return the row of a thread, and the thread.

    Args:
        connection: To the file.
        waiting: Entries of some threads that may not be in the file yet, by row.
        era: The file's.
        key: Whose the thread is, and its id.

    Raises:
        Damaged: It cannot be read.
    """
    try:
        return _load(connection, waiting, era, key)
    except sqlite3.DatabaseError as error:
        if is_corrupt(error):
            raise Damaged(f"the file: {error}") from None
        raise


def _load(
    connection: sqlite3.Connection, waiting: Mapping[int, Sequence[tuple[int, Kind, bytes]]], era: str, key: Key
) -> tuple[int | None, SavedThread | None]:
    query = (
        "SELECT row, agent, epoch, era, lasting, revision, state, run FROM threads WHERE owner = ? AND thread_id = ?"
    )
    found = connection.execute(query, names(key)).fetchall()
    if not found:
        return None, None
    ((row, agent, epoch, born, lasting, revision, state, run),) = checked("the thread", found, *_THREAD)
    inbox = connection.execute("SELECT run_id, data FROM inbox WHERE row = ? ORDER BY place", (row,)).fetchall()
    applied = connection.execute("SELECT command_id, digest, run_id FROM applied WHERE row = ?", (row,)).fetchall()
    return row, SavedThread(
        key=key,
        agent=agent,
        epoch=epoch if born == era else f"{epoch}.{era}",
        lasting=bool(lasting),
        revision=revision,
        state=state,
        run=run if isinstance(run, bytes) else run.encode(),
        entries=entries_after(connection, row, revision, waiting.get(row, ())),
        inbox=[(run_id, data) for run_id, data in checked("the inbox", inbox, str, bytes)],
        applied={id: (digest, run_id) for id, digest, run_id in checked("the ids", applied, str, bytes, str)},
        memory=records(connection, key, MEMORY),
    )


def unfinished(connection: sqlite3.Connection) -> list[Key]:
    """Return the threads with a batch or a run left."""
    rows = "SELECT row FROM threads WHERE open = 1 UNION SELECT row FROM inbox"
    return _keys(connection, f"SELECT owner, thread_id FROM threads WHERE row IN ({rows})")


def idle_since(connection: sqlite3.Connection, before: float, lasting: bool) -> list[Key]:
    """Return the lasting threads, or the others, that were not written to since a time."""
    if lasting:
        return _keys(connection, _IDLE_LASTING, lasting, before, before, before)
    return _keys(connection, _IDLE, lasting, before)


def _keys(connection: sqlite3.Connection, query: str, *values: Any) -> list[Key]:
    rows = readable_rows(connection.execute(query, values))
    return [key for key in (from_names(owner, thread_id) for owner, thread_id in rows) if key is not None]
