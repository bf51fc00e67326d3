"""Writes the backlog into SQLite, within a transaction of the caller's. It lives on the store's thread."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final

from statecast.stores.base import Deleted, Moved
from statecast.stores.clock import Clock
from statecast.stores.errors import ChangeRefused
from statecast.stores.key import Key
from statecast.stores.log import Assigned, BatchAccepted, BatchApplied, BatchChanged, BatchSettled, Compacted, Renewed
from statecast.stores.records import RecordErased, RecordWritten, SummaryChanged

from . import entries, records
from .backlog import Portion
from .commits import Inserted, Other, RunChanged
from .database import applied_of, store_applied, store_time
from .records import names
from .rows import is_corrupt

__all__ = ["Lost", "Writing", "is_refusal", "row_of"]

_log: Final = logging.getLogger("statecast")

#: Seconds between updates of a thread's `written`, which only retention reads.
TOUCH_EVERY: Final = 30.0


class Lost(Exception):
    """A damaged page was met, so SQLite takes nothing more in this transaction; the next leaves out what met it."""


class Writing:
    """Writes portions of the backlog.

    Args:
        clock: The store's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.refused: set[int] = set()  #: rows of threads of which SQLite refused something
        self._lost: set[int] = set()  #: the identities of changes that are left out when their portion is written again
        self._touched: dict[int, float] = {}  #: when the time of a thread was written last
        self._untouched: dict[int, float] = {}  #: the times that are not written

    def write(self, connection: sqlite3.Connection, portion: Portion, *, carefully: bool = False) -> None:
        """Write a portion, unless it is there already, but for what follows on something that SQLite refused.

        Args:
            connection: In a transaction.
            portion: What to write.
            carefully: Leave out what SQLite refuses, and nothing else.

        Raises:
            Lost: It is to be written again, carefully, in another transaction.
        """
        if portion.others and applied_of(connection) >= portion.number:
            return  # it was committed, though the commit failed
        for row, at, change in portion.others:
            if id(change) in self._lost or (row in self.refused and not isinstance(change, Deleted)):
                continue
            if carefully:
                self._write_carefully(connection, row, at, change)
            else:
                self._write_one(connection, row, at, change)
        follow = [taken for taken in portion.entries if taken[0] not in self.refused]
        if carefully:
            for taken in follow:
                self.attempt(
                    connection, taken[0], f"entries of row {taken[0]}", partial(entries.write, connection, [taken])
                )
        else:
            entries.write(connection, follow)
        self._touch(connection, portion.touched, carefully=carefully)
        store_applied(connection, portion.number)
        self._lost.clear()

    def _touch(self, connection: sqlite3.Connection, times: dict[int, float], *, carefully: bool) -> None:
        """Write the times of threads, if that of one is due.

        It is done for all together: a row with a large state takes long, and those that are written to all the time are
        not to fall due one by one.
        """
        self._untouched.update(times)
        if any(at - self._touched.get(row, 0.0) > TOUCH_EVERY for row, at in times.items()):
            update = "UPDATE threads SET written = ? WHERE row = ?"
            due = [(at, row) for row, at in self._untouched.items()]
            if carefully:
                for at, row in due:
                    if row not in self.refused:
                        self.attempt(
                            connection, row, f"the time of row {row}", partial(connection.execute, update, (at, row))
                        )
            else:
                connection.executemany(update, due)
            store_time(connection, self._clock)
            self._touched.update(self._untouched)
            self._untouched.clear()

    def _write_carefully(self, connection: sqlite3.Connection, row: int | None, at: float, change: Other) -> None:
        what = f"{type(change).__name__} of the thread {change.key.thread_id!r}"
        self.attempt(connection, row, what, partial(self._write_one, connection, row, at, change), change)

    def attempt(
        self,
        connection: sqlite3.Connection,
        row: int | None,
        what: str,
        write: Callable[[], object],
        change: Other | None = None,
    ) -> None:
        """Write something of a thread; if SQLite refuses it, leave it out, and all that follows of the thread.

        Raises:
            Lost: All is to be written again, in another transaction.
        """
        connection.execute("SAVEPOINT one")
        try:
            write()
        except Exception as error:
            if not is_refusal(error):
                raise
            _log.error("the store cannot write a change, which is lost: %s: %s", what, error)
            if row is not None:
                self.refused.add(row)
            if change is not None:
                self._lost.add(id(change))
            if is_corrupt(error):
                raise Lost from error
            connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")

    def _write_one(self, connection: sqlite3.Connection, row: int | None, at: float, change: Other) -> None:
        execute = connection.execute
        if isinstance(change, Inserted):
            self._insert(connection, change, at)
            return
        if isinstance(change, SummaryChanged | RecordWritten | RecordErased):
            records.write(connection, change, at)
            return
        if isinstance(change, Moved):
            records.move(connection, change)
            return
        if row is None:
            row = row_of(connection, change.key)
        if isinstance(change, Deleted):
            if row is not None:
                self._delete(connection, row)
            records.delete(connection, change.key)
        elif row is None:
            raise ChangeRefused(f"the store has no thread {change.key.thread_id!r} to write to")
        elif isinstance(change, RunChanged):
            execute("UPDATE threads SET open = ? WHERE row = ?", (change.open, row))
        elif isinstance(change, BatchAccepted):
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
        elif isinstance(change, Renewed):
            execute("UPDATE threads SET epoch = ? WHERE row = ?", (change.epoch, row))
        elif isinstance(change, Compacted):
            entries.delete(connection, row, change.revision)
            values_of = (change.revision, change.state, change.run, row)
            execute("UPDATE threads SET revision = ?, state = ?, run = ? WHERE row = ?", values_of)

    def _insert(self, connection: sqlite3.Connection, change: Inserted, at: float) -> None:
        query = (
            "INSERT INTO threads (row, owner, thread_id, agent, epoch, lasting, revision, state, run, open, written,"
            " era) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 'null', 0, ?, ?)"
        )
        new = change.created
        row, era = change.row, change.era
        values = (row, *names(new.key), new.agent, new.epoch, new.lasting, new.state, at, era)
        connection.execute(query, values)
        self._touched[row] = at

    def _delete(self, connection: sqlite3.Connection, row: int) -> None:
        entries.delete(connection, row)
        for table in ("inbox", "applied", "threads"):
            connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))  # names from the line above
        self._touched.pop(row, None)
        self._untouched.pop(row, None)


def row_of(connection: sqlite3.Connection, key: Key) -> int | None:
    """Return the row of a thread; None if there is no such thread."""
    found = connection.execute("SELECT row FROM threads WHERE owner = ? AND thread_id = ?", names(key)).fetchone()
    return None if found is None else int(found[0])


def is_refusal(error: Exception) -> bool:
    """Return whether an error says that SQLite works, but will never take a change."""
    never = (
        ChangeRefused,
        sqlite3.IntegrityError,
        sqlite3.DataError,
        sqlite3.InterfaceError,
        OverflowError,
        UnicodeError,
    )
    return isinstance(error, never) or is_corrupt(error)
