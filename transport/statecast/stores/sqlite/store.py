"""The SQLite store: one file, nothing to install.

Everything that became ready together is one transaction. Once it is committed the system has it, and it survives the
process, however that ends. If the system itself ends, or its power, the last ones may be lost, though none before one
that is kept; with `durable=True` none is, at the cost of one sync a commit.

Rule: what may wait for the disk, or for a lock, happens on a thread of the store's own, or the event loop would wait
with it. Only entries of runs that go on are written on the event loop, since to hand them to the thread takes longer.
The thread has nothing to do then, and SQLite syncs, in this mode, at a checkpoint and at the first commit after it,
which are the thread's. If another program holds the lock, or the system takes long to take the entries all the same,
they go to the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from statecast.stores.base import Change
from statecast.stores.errors import ChangeRefused, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import Appended, SavedThread
from statecast.stores.records import File, Summary

from . import records, threads
from .database import OpenFiles, begin_era, clock_of, era_of, is_busy, open_file, store_time
from .entries import Entries
from .lock import Lock, write_marker
from .pieces import Pieces, in_pieces_of_one_size
from .rows import is_corrupt
from .writing import Writing

__all__ = ["SqliteStore"]

_T = TypeVar("_T")

_log: Final = logging.getLogger("statecast")

#: Bytes of the log at which it is brought into the file.
CHECKPOINT_AT: Final = 2**24

#: Entries, and bytes of them, that are written on the event loop; it has taken longer to make them. After a checkpoint
#: as many may have come together, and the thread would then fall ever further behind: while the event loop is busy it
#: is seldom given the interpreter.
HERE: Final = 32_768
HERE_BYTES: Final = 2**22

#: Seconds that writing them may take, and for how long the thread writes them when it took longer.
LONG: Final = 0.25
WHILE: Final = 2.0

#: Seconds after which what was deleted has left the file and its log.
GONE_AFTER: Final = 10.0

#: What is written to see whether the file can be written to, in the table `about`.
PROBE: Final = "probe"

#: Seconds between tries to bring the log into the file, while another program reads it.
AGAIN: Final = 1.0

#: Bytes of a file after which the log may have to be brought into the store's file.
ROOM_EVERY: Final = 2**22

#: Seconds between looks whether another program has let go of its lock.
LOOK: Final = 0.002


class SqliteStore:
    """Stores threads in a file.

    Args:
        path: The file; made if it is not there.
        durable: Whether a commit waits until the disk has it, so that it survives the loss of power.
        patience: Seconds to wait for another program to let go of the file, or of a lock.
    """

    instant: ClassVar[bool] = False

    def __init__(self, path: str | Path, *, durable: bool = False, patience: float = 2.0) -> None:
        self.path = Path(path)
        self._place = Path(os.path.realpath(path))  #: however it is named: SQLite's files and ours are beside it
        self._durable = durable
        self._patience = patience
        self._thread: ThreadPoolExecutor | None = None
        self._file_thread: ThreadPoolExecutor | None = None
        self._pieces: Pieces | None = None
        self._jobs: set[Future[Any]] = set()  #: what the thread has to do
        self._slow_until = 0.0  #: when entries may be written on the event loop again
        self._lock: Lock | None = None
        self._connection: sqlite3.Connection | None = None
        self._purging: asyncio.Task[None] | None = None
        self._checkpoint_from = 0.0  #: when the log may be brought into the file again
        self._files: OpenFiles | None = None
        self._writing: Writing | None = None

    async def open(self) -> None:
        """Open the file, lock it, and bring its schema up to date.

        Raises:
            StoreUnavailable: Another process has it, it is no SQLite file, or a newer version of Statecast wrote it.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-sqlite")
            self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-files")
        try:
            await self._do(self._open)
        except BaseException:
            self._end_threads()
            raise

    async def aclose(self) -> None:
        """Close the file, if it is open; it may be opened again."""
        if self._purging is not None:
            self._purging.cancel()
            self._purging = None
        if self._thread is not None:
            try:
                await self._do(self._close_pieces, files=True)  # behind what it has begun
                await self._do(self._close)
            finally:
                self._end_threads()

    async def probe(self) -> None:
        """Write to the file as a commit would."""
        await self._do(self._probe)

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("the SQLite store may have to wait for the disk: use commit()")

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction.

        Raises:
            StoreUnavailable: The disk is full, or the file is gone; nothing was written.
            ChangeRefused: A change does not fit what the file holds; nothing was written.
        """
        if not self._fit_event_loop(changes) or not self._commit_on_event_loop(changes):
            await self._do(self._commit, changes)
            self._purge_later()

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        return await self._do(self._load, key)

    async def unfinished(self) -> list[Key]:
        """Return the threads with a batch or a run left."""
        return await self._with(threads.unfinished)

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads not written to for so many seconds; writes of the half minute before may not count."""
        return await self._do(self._idle_for, seconds, lasting)

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        return await self._with(records.summary_of, key)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        return await self._with(records.summaries, owner, archived, before, limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        return await self._with(records.summary_named, owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        return await self._with(records.is_owned, thread_id)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        return await self._with(records.records, key, kind)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        return await self._with(records.secret, name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file: each piece as it comes."""
        files = self._open_pieces
        number, size = files.begin(), 0
        try:
            async for piece in in_pieces_of_one_size(pieces):
                await self._do(files.add, number, size, piece, files=True)
                size += len(piece)
                if size % ROOM_EVERY == 0:
                    await self._do(self._roomy_connection)
            replaced = await self._do(files.finish, number, File(name, type, owner, size), files=True)
        except BaseException:
            await asyncio.shield(self._delete_pieces(number))
            raise
        if replaced is not None:
            await self._delete_pieces(replaced)
        return size

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        return await self._do(self._open_pieces.find, name, files=True)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        return await self._do(self._open_pieces.read, name, start, end, files=True)

    async def delete_file(self, name: str) -> None:
        """Delete a file: it is gone at once, and its pieces one after the other."""
        number = await self._do(self._open_pieces.unlink, name, files=True)
        if number is not None:
            await self._delete_pieces(number)

    async def _delete_pieces(self, number: int) -> None:
        with contextlib.suppress(StoreUnavailable):  # what is left is taken away when the store is opened
            self._open_writing.deleted = True
            while await self._do(self._open_pieces.delete_pieces, number, files=True):
                pass
        self._purge_later()

    async def _with(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call a function with the connection, on the store's thread."""
        return await self._do(lambda: function(self._idle_connection(), *args))

    def _end_threads(self) -> None:
        for thread in (self._thread, self._file_thread):
            if thread is not None:
                thread.shutdown(wait=False)
        self._thread = self._file_thread = None

    async def _do(self, function: Callable[..., _T], *args: Any, files: bool = False) -> _T:
        """Call a function on the thread that commits, or on the one for files."""
        thread = self._file_thread if files else self._thread
        if thread is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        job = thread.submit(self._patiently, function, *args)
        if not files:
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)  # who waits for it may have given up by then
        try:
            return await asyncio.wrap_future(job)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _patiently(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call a function that changes nothing if it fails, again while another program holds a lock."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return function(*args)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > until:
                    raise
            time.sleep(LOOK)

    def _failed(self, error: Exception) -> StoreUnavailable | ChangeRefused:
        """Return an error of SQLite as one of stores: a change that does not fit, or a file that cannot be used."""
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)) or is_corrupt(error):
            return ChangeRefused(f"the store {self.path} refuses it: {error}")
        return StoreUnavailable(f"the store {self.path} failed: {error}")

    def _open(self) -> None:
        if self._connection is not None:
            return
        lock = Lock(self._place, patience=self._patience)
        try:
            connection = open_file(self._place, durable=self._durable, patience=self._patience)
            try:
                self._files = OpenFiles(self._place)
                entries = Entries.read(connection)
                if entries.lost:
                    self._drop_lost_entries(connection, entries)
                (last_row,) = connection.execute("SELECT ifnull(max(row), 0) FROM threads").fetchone()
                self._pieces = Pieces(self._place, durable=self._durable, patience=self._patience)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            lock.release()
            raise
        last_row = max(last_row, entries.last_row)
        self._writing = Writing(entries, last_row=last_row, era=era_of(connection), clock=clock_of(connection))
        self._lock, self._connection = lock, connection

    def _drop_lost_entries(self, connection: sqlite3.Connection, entries: Entries) -> None:
        """Cut the logs whose last entries cannot be read, and begin a new era."""
        _log.error(
            "the store %s is damaged: %d of its latest commits cannot be read, and some threads have lost their last"
            " entries; `statecast check` names what else is damaged",
            self.path,
            entries.lost,
        )
        connection.execute("BEGIN IMMEDIATE")
        entries.settle(connection)
        begin_era(connection)
        connection.execute("COMMIT")

    def _close_pieces(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
            self._pieces = None

    def _close(self) -> None:
        if self._connection is None or self._lock is None:
            return
        try:
            try:
                whole = self._patiently(self._settle)
            finally:
                self._connection.close()
            if whole:
                write_marker(self._place)
        except (sqlite3.Error, OSError, StoreUnavailable):
            pass  # no marker: what begins then is a new era
        finally:
            self._lock.release()
            self._connection = self._files = self._lock = None

    def _settle(self) -> bool:
        """Move all entries to their threads and the log into the file; return whether the log is empty.

        Deleted data is overwritten then, wherever it was (`secure_delete`).
        """
        connection = self._idle_connection()
        if self._files is not None:
            self._files.check()
        self._transact(connection, (), here=False, settle=True)
        emptied = self._checkpoint(connection)
        writing = self._open_writing
        writing.deleted = writing.deleted and not emptied
        return emptied

    def _checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Move the log into the file; return whether it is empty, which it is unless another program reads it."""
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._checkpoint_from = time.monotonic() + AGAIN if busy else 0.0
        return not busy

    def _purge_later(self) -> None:
        """Schedule that deleted data leaves the file, if there is any."""
        is_due = self._thread is not None and self._open_writing.deleted
        if is_due and (self._purging is None or self._purging.done()):
            self._purging = asyncio.get_running_loop().create_task(self._purge())

    async def _purge(self) -> None:
        while self._open_writing.deleted:
            await asyncio.sleep(GONE_AFTER)
            with contextlib.suppress(StoreUnavailable):  # it is tried again
                await self._do(self._settle)

    @property
    def _open_writing(self) -> Writing:
        if self._writing is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        return self._writing

    @property
    def _open_pieces(self) -> Pieces:
        if self._pieces is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        return self._pieces

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f"the store {self.path} is not open")
        return self._connection

    def _idle_connection(self) -> sqlite3.Connection:
        """Return the connection, after rolling back what a failed commit left open."""
        connection = self._open_connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return connection

    def _fit_event_loop(self, changes: Sequence[Change]) -> bool:
        """Return whether changes are entries of runs that go on, and writing them would not wait."""
        writing = self._writing
        if self._durable or self._jobs or writing is None or self._files is None or len(changes) > HERE:
            return False
        now = writing.clock.now()
        size = 0
        for change in changes:
            if type(change) is not Appended or change.open is not None or not writing.is_prompt(change, now):
                return False
            size += len(change.data)
        return size <= HERE_BYTES and time.monotonic() > self._slow_until and 0 < self._files.check() <= CHECKPOINT_AT

    def _commit_on_event_loop(self, changes: Sequence[Change]) -> bool:
        """Write changes on the event loop; return False if another program holds the lock."""
        started = time.perf_counter()
        try:
            self._transact(self._open_connection, changes, here=True)
        except (sqlite3.Error, OSError) as error:
            if is_busy(error):
                return False
            raise self._failed(error) from error
        if time.perf_counter() - started > LONG:
            self._slow_until = time.monotonic() + WHILE
        return True

    def _commit(self, changes: Sequence[Change]) -> None:
        self._transact(self._roomy_connection(), changes, here=False)

    def _load(self, key: Key) -> SavedThread | None:
        connection, writing = self._idle_connection(), self._open_writing
        return threads.load(connection, writing.entries(connection), writing.era, key)

    def _idle_for(self, seconds: float, lasting: bool) -> list[Key]:
        connection = self._idle_connection()
        clock = self._open_writing.clock
        store_time(connection, clock)
        return threads.idle_since(connection, clock.now() - seconds, lasting)

    def _probe(self) -> None:
        connection = self._roomy_connection()
        self._idle_connection()
        connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (PROBE, time.time()))

    def _roomy_connection(self) -> sqlite3.Connection:
        """Return the connection, after moving the log into the file if it was long."""
        connection = self._open_connection
        if self._files is not None and self._files.check() > CHECKPOINT_AT and time.monotonic() > self._checkpoint_from:
            with contextlib.suppress(sqlite3.Error):  # the log grows until it can be brought into the file
                self._checkpoint(connection)
        return connection

    def _transact(
        self, connection: sqlite3.Connection, changes: Sequence[Change], *, here: bool, settle: bool = False
    ) -> None:
        """Write changes in one transaction; with `settle`, also move all entries to their threads."""
        self._idle_connection()
        writing = self._open_writing
        now = writing.clock.now()
        try:
            connection.execute("BEGIN IMMEDIATE")
            touched = writing.write(connection, changes, now, here=here)
            if settle:
                writing.entries(connection).settle(connection)
                store_time(connection, writing.clock)
            connection.execute("COMMIT")
        except BaseException:
            writing.undone()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        writing.done(touched, now)
