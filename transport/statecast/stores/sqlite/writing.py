"""Writes changes into the SQLite store, within a transaction of the caller's.

It remembers the row of each thread and when its time of writing was last updated, so that most entries need no query of
`threads`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from statecast.stores.base import Change, Deleted, Moved
from statecast.stores.clock import Clock
from statecast.stores.errors import ChangeRefused
from statecast.stores.key import Key
from statecast.stores.log import (
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Compacted,
    Created,
)
from statecast.stores.records import RecordErased, RecordWritten, SummaryChanged

from . import records
from .database import store_time
from .entries import Entries
from .records import names

__all__ = ["Writing"]

#: Seconds between updates of a thread's `written`, which only retention reads.
TOUCH_EVERY: Final = 30.0


class Writing:
    """Writes changes to a file.

    Args:
        entries: Those of the file.
        last_row: The greatest number of a row that was ever given to a thread.
        era: The file's, which new threads get.
        clock: The store's.
    """

    def __init__(self, entries: Entries, *, last_row: int, era: str, clock: Clock) -> None:
        self.era = era
        self.clock = clock
        self.deleted = False  #: whether there may be something of what was deleted in the file or its log
        self._entries: Entries | None = entries  #: None: to be read from the file
        self._rows: dict[Key, int] = {}
        self._last_row = last_row
        self._touched: dict[int, float] = {}
        self._untouched: set[int] = set()  #: written to since

    def is_prompt(self, change: Appended, now: float) -> bool:
        """Return whether writing an entry now writes nothing else, such as the thread's time."""
        row = self._rows.get(change.key)
        return row is not None and now - self._touched.get(row, 0.0) <= TOUCH_EVERY

    def undone(self) -> None:
        """Forget what the transaction did: it was rolled back."""
        self._rows.clear()  # rows made in it are not there
        self._entries = None

    def done(self, touched: Collection[int], now: float) -> None:
        """Remember the threads whose time the transaction, which was committed, has updated."""
        self._touched.update(dict.fromkeys(touched, now))

    def write(
        self, connection: sqlite3.Connection, changes: Sequence[Change], now: float, *, here: bool
    ) -> Collection[int]:
        """Write changes, entries last; return the rows of the threads whose time was updated."""
        entries = self.entries(connection)
        late = False
        for change in changes:
            if type(change) is not Appended:
                self._write_one(connection, entries, change)
                continue
            row = self._rows.get(change.key) or self._row(connection, change.key)
            entries.add(row, change.revision, change.kind, change.data)
            if change.open is not None:
                connection.execute("UPDATE threads SET open = ? WHERE row = ?", (change.open, row))
            self._untouched.add(row)
            late = late or now - self._touched.get(row, 0.0) > TOUCH_EVERY
        entries.write(connection, compress=here)
        if not late:
            return ()
        # All together: a row with a large state takes long, so this is never done on the event loop, and those that are
        # written to all the time are not to fall due one by one.
        touched, self._untouched = self._untouched, set()
        rows = ", ".join(map(str, touched))
        connection.execute(f"UPDATE threads SET written = ? WHERE row IN ({rows})", (now,))
        store_time(connection, self.clock)
        return touched

    def entries(self, connection: sqlite3.Connection) -> Entries:
        """Return the entries of the file."""
        if self._entries is None:
            self._entries = Entries.read(connection)
        return self._entries

    def _write_one(self, connection: sqlite3.Connection, entries: Entries, change: Change) -> None:
        execute = connection.execute
        if isinstance(change, Created):
            self._last_row += 1
            execute(
                "INSERT INTO threads"
                " (row, owner, thread_id, agent, epoch, lasting, revision, state, run, open, written, era)"
                " VALUES (?, ?, ?, ?, ?, ?, 0, ?, 'null', 0, ?, ?)",
                (
                    self._last_row,
                    *names(change.key),
                    change.agent,
                    change.epoch,
                    change.lasting,
                    change.state,
                    self.clock.now(),
                    self.era,
                ),
            )
            return
        if isinstance(change, Deleted | RecordErased):
            self.deleted = True
        if isinstance(change, Deleted):
            self._delete(connection, entries, change.key)
            return
        if isinstance(change, SummaryChanged | RecordWritten | RecordErased):
            records.write(connection, change, self.clock.now())
            return
        if isinstance(change, Moved):
            records.move(connection, change)
            self._rows.pop(change.key, None)
            return
        row = self._row(connection, change.key)
        if isinstance(change, BatchAccepted):
            execute("INSERT INTO inbox (row, run_id, data) VALUES (?, ?, ?)", (row, change.run_id, change.data))
        elif isinstance(change, BatchChanged):
            execute("UPDATE inbox SET data = ? WHERE row = ? AND run_id = ?", (change.data, row, change.run_id))
        elif isinstance(change, BatchSettled):
            execute("DELETE FROM inbox WHERE row = ? AND run_id = ?", (row, change.run_id))
        elif isinstance(change, BatchApplied):
            values = (row, change.command_id, change.digest, change.run_id)
            execute("INSERT OR REPLACE INTO applied VALUES (?, ?, ?, ?)", values)
        elif isinstance(change, Assigned):
            execute("UPDATE threads SET agent = ? WHERE row = ?", (change.agent, row))
        elif isinstance(change, Compacted):
            entries.forget(connection, row, change.revision)
            values_of = (change.revision, change.state, change.run, row)
            execute("UPDATE threads SET revision = ?, state = ?, run = ? WHERE row = ?", values_of)

    def _delete(self, connection: sqlite3.Connection, entries: Entries, key: Key) -> None:
        row = self._find_row(connection, key)
        if row is not None:
            entries.forget(connection, row)
            for table in ("inbox", "applied", "threads"):
                connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))  # names from the line above
            self._rows.pop(key, None)
            self._touched.pop(row, None)
            self._untouched.discard(row)
        records.delete(connection, key)

    def _row(self, connection: sqlite3.Connection, key: Key) -> int:
        row = self._find_row(connection, key)
        if row is None:
            raise ChangeRefused(f"the store has no thread {key.thread_id!r} to write to")
        return row

    def _find_row(self, connection: sqlite3.Connection, key: Key) -> int | None:
        row = self._rows.get(key)
        if row is None:
            query = "SELECT row FROM threads WHERE owner = ? AND thread_id = ?"
            found = connection.execute(query, names(key)).fetchone()
            if found is not None:
                row = self._rows[key] = found[0]
        return row
