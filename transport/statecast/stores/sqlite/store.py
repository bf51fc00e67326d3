"""The SQLite store: one file, and while it is open one for what was committed last. Nothing to install.

A commit is appended to a segment, a file beside the database, with one write. Then the system has it, and it survives
the process, however that ends. If the system itself ends, or its power, the last commits may be lost, though of no
thread one before another that is kept; with `durable=True` none is, at the cost of one sync a commit.

SQLite gets the commits later, many in one transaction, and nobody waits for it. A segment is deleted once everything in
it is in the file of the database, on the disk.

Rule: what may wait for the disk, or for a lock, happens on threads of the store's own, or the event loop would wait
with it. Only the append happens on the event loop, since to hand it to a thread takes longer, unless it is long or has
to be synced. If the system takes long to take it all the same, a thread appends for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from statecast.stores.base import Change, Durability
from statecast.stores.errors import ChangeRefused, Damaged, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import SavedThread
from statecast.stores.pieces import in_pieces_of_one_size
from statecast.stores.records import File, Summary

from . import records, threads
from .backlog import Backlog, Prepared
from .database import is_busy
from .opened import OpenDatabase
from .writing import is_refusal

__all__ = ["SqliteStore"]

_T = TypeVar("_T")

#: Changes, and bytes of a commit, that are appended on the event loop; it has taken longer to make them.
HERE: Final = 32_768
HERE_BYTES: Final = 2**22

#: Seconds that appending may take, and for how long a thread appends when it took longer.
LONG: Final = 0.25
WHILE: Final = 2.0

#: Bytes of a segment after which another begins.
SEGMENT_BYTES: Final = 2**23

#: Bytes that SQLite may be behind; commits wait for it then.
BEHIND: Final = 2**25

#: Seconds after which what was deleted has left all files.
GONE_AFTER: Final = 10.0

#: Seconds between tries to write to SQLite, and to begin another segment.
AGAIN: Final = 1.0

#: Bytes of an uploaded file after which SQLite's log may have to be brought into the store's file.
ROOM_EVERY: Final = 2**22

#: Seconds between looks whether another program has let go of its lock.
LOOK: Final = 0.002


class SqliteStore:
    """Stores threads in a file.

    Args:
        path: The file; made if it is not there.
        durable: Whether a commit waits until the disk has it, so that it survives the loss of power.
        patience: Seconds to wait for another program to let go of the file, or of a lock.
        clock: A monotonic clock, in seconds, by which threads are idle.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = False

    def __init__(
        self,
        path: str | Path,
        *,
        durable: bool = False,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(path)
        self._place = Path(os.path.realpath(path))  #: however it is named: SQLite's files and ours are beside it
        self.durable = durable
        self._patience = patience
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None  #: for SQLite
        self._file_thread: ThreadPoolExecutor | None = None  #: for uploaded files
        self._append_thread: ThreadPoolExecutor | None = None  #: for commits that have to wait
        self._database: OpenDatabase | None = None
        self._backlog: Backlog | None = None
        self._order = asyncio.Lock()  #: held while a commit waits: the others wait behind it
        self._slow_until = 0.0  #: when commits may be appended on the event loop again
        self._writing: Future[None] | None = None  #: the last write of a part of the backlog that nobody waits for
        self._write_from = 0.0  #: when the next one may begin
        self._rotating: asyncio.Task[None] | None = None
        self._rotate_from = 0.0
        self._purging: asyncio.Task[None] | None = None
        self._gone = 0  #: how many of the deletions have left all files

    async def open(self) -> None:
        """Open the file, lock it, and bring its schema up to date.

        Raises:
            StoreUnavailable: Another process has it, it is no SQLite file, or a newer version of Statecast wrote it.
        """
        if self._thread is None:
            self._order = asyncio.Lock()  # of this event loop, if another one used the store before
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-sqlite")
            self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-files")
            self._append_thread = ThreadPoolExecutor(1, thread_name_prefix="statecast-segment")
        try:
            await self._do(self._open)
        except BaseException:
            if self._database is None:
                self._end_threads()
            raise

    async def aclose(self) -> None:
        """Close the file, if it is open; it may be opened again."""
        if self._purging is not None:
            self._purging.cancel()
            self._purging = None
        if self._rotating is not None:
            await asyncio.wait({self._rotating})
        if self._thread is not None:
            async with self._order:
                try:
                    await self._do(self._close_pieces, thread=self._file_thread)  # behind what it has begun
                    if self._backlog is not None and self._database is not None:
                        self._database.portions.append(self._backlog.take(everything=True))
                    await self._do(self._close)
                finally:
                    self._end_threads()

    async def probe(self) -> None:
        """Write to both files as commits do."""
        await self.commit(())
        await self._do(self._open_database.probe)

    async def durability(self) -> Durability:
        """Return what a confirmed write survives."""
        return "disk" if self.durable else "process"

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("the SQLite store may have to wait for the disk: use commit()")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Append changes to the segment, unless something has to be waited for; return whether they are there."""
        backlog = self._backlog
        if backlog is None or self._order.locked() or not self._is_prompt(len(changes)):
            return False
        try:
            prepared = backlog.prepare(changes)
            if len(prepared.data) > HERE_BYTES:
                return False
            self._append_here(prepared)
        except Exception:  # whatever it is: `commit` does the same, and raises it
            return False
        self._appended(prepared)
        return True

    async def commit(self, changes: Sequence[Change]) -> None:
        """Append changes to the segment.

        Raises:
            StoreUnavailable: The disk is full, or a file is gone; nothing was written.
            ChangeRefused: A change does not fit what the store holds; nothing was written.
        """
        async with self._order:
            backlog = self._open_backlog
            if self._open_database.portions and self._behind > BEHIND:
                self._open_database.portions.append(backlog.take(everything=True))
                await self._do(self._open_database.apply)
            try:
                prepared = backlog.prepare(changes)
            except LookupError:  # nobody has looked yet
                prepared = await self._prepare(changes)
            if self._is_prompt(len(changes)) and len(prepared.data) <= HERE_BYTES:
                try:
                    self._append_here(prepared)
                except OSError as error:
                    raise self._failed(error) from error
            else:
                await self._append_apart(prepared)
            self._appended(prepared)

    async def _prepare(self, changes: Sequence[Change]) -> Prepared:
        """Return a commit of changes, after finding out what has to be known for it."""
        backlog = self._open_backlog
        while True:
            version = backlog.version
            keys = backlog.unknown(changes)
            self._hand_over(None)
            rows, summarized = await self._do(self._open_database.look_up, keys)
            backlog.learn(rows, version)
            with contextlib.suppress(LookupError):  # meanwhile it was forgotten what another one of them needs
                return backlog.prepare(changes, summarized)

    def _is_prompt(self, changes: int) -> bool:
        """Return whether a commit of so many changes is for the event loop."""
        if self.durable or changes > HERE or time.monotonic() < self._slow_until:
            return False
        return not self._open_database.portions or self._behind <= BEHIND

    @property
    def _behind(self) -> int:
        """Bytes of the backlog that SQLite is behind, about."""
        return self._open_backlog.size + sum(portion.size for portion in list(self._open_database.portions))

    def _append_here(self, prepared: Prepared) -> None:
        started = time.monotonic()
        self._open_database.append(prepared.data)
        ended = time.monotonic()
        if ended - started > LONG:
            self._slow_until = ended + WHILE

    async def _append_apart(self, prepared: Prepared) -> None:
        """Append a commit on a thread; if the caller is cancelled, it waits all the same, to know what happened."""
        append = partial(self._open_database.append, prepared.data, sync=self.durable)
        appending = asyncio.ensure_future(self._do(append, thread=self._append_thread))
        cancelled: asyncio.CancelledError | None = None
        while not appending.done():
            try:
                await asyncio.wait({appending})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            if appending.exception() is None:
                self._appended(prepared)
            raise cancelled
        appending.result()

    def _appended(self, prepared: Prepared) -> None:
        """Take note of a commit that is in the segment."""
        backlog, database = self._open_backlog, self._open_database
        if backlog.add(prepared, database.clock.now()):
            self._write_soon()
        if database.segment.size > SEGMENT_BYTES and time.monotonic() > self._rotate_from:
            self._rotate_soon()
        if backlog.deletions > self._gone:
            self._purge_soon()

    def _write_soon(self) -> None:
        """Let the thread write a part of the backlog to SQLite, unless it is at it."""
        if (self._writing is None or self._writing.done()) and time.monotonic() > self._write_from:
            self._write_from = time.monotonic() + (
                AGAIN if self._open_database.portions else 0.0
            )  # the last one failed
            self._open_database.portions.append(self._open_backlog.take())
            assert self._thread is not None
            self._writing = self._thread.submit(self._patiently, self._open_database.apply)

    def _rotate_soon(self) -> None:
        """Begin another segment, unless it is under way."""
        if self._rotating is None or self._rotating.done():
            self._rotate_from = time.monotonic() + AGAIN
            self._rotating = asyncio.get_running_loop().create_task(self._rotate())

    async def _rotate(self) -> None:
        """Begin another segment, write all of the backlog to SQLite, and delete the older segments if that is done."""
        with contextlib.suppress(StoreUnavailable):  # it is tried again
            backlog, database = self._open_backlog, self._open_database
            fresh = await self._do(database.new_segment)
            async with self._order:
                if self._database is not database:
                    fresh.drop()  # the store was closed meanwhile
                    return
                deletions = backlog.deletions
                database.portions.append(backlog.take(everything=True))
                database.older.append(database.segment)
                database.segment = fresh
            if await self._do(database.release):
                self._gone = max(self._gone, deletions)

    def _purge_soon(self) -> None:
        """Let what was deleted leave all files, some time later."""
        if self._purging is None or self._purging.done():
            self._purging = asyncio.get_running_loop().create_task(self._purge())

    async def _purge(self) -> None:
        while self._gone < self._open_backlog.deletions:
            await asyncio.sleep(GONE_AFTER)
            self._rotate_soon()
            assert self._rotating is not None
            await asyncio.wait({self._rotating})

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        backlog, database = self._open_backlog, self._open_database
        version, row = backlog.version, backlog.row(key)
        if row in database.writing.refused:
            raise Damaged("the last changes of the thread could not be written")
        waiting = {} if row is None else {row: backlog.entries.of(row)}
        row, found = await self._read(threads.load, waiting, database.era, key, key=key)
        backlog.learn({key: row}, version)
        return found

    async def unfinished(self) -> list[Key]:
        """Return the threads with a batch or a run left."""
        return await self._read(threads.unfinished)

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads not written to for so many seconds; writes of the half minute before may not count."""
        self._open_database.portions.append(self._open_backlog.take())
        return await self._do(self._open_database.idle_for, seconds, lasting)

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        return await self._read(records.summary_of, key, key=key)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        return await self._read(records.summaries, owner, archived, before, limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        return await self._read(records.summary_named, owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        return await self._read(records.is_owned, thread_id)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        return await self._read(records.records, key, kind, key=key)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        return await self._read(records.secret, name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file: each piece as it comes."""
        files = self._open_database.pieces
        number, size = files.begin(), 0
        try:
            async for piece in in_pieces_of_one_size(pieces):
                await self._do(files.add, number, size, piece, thread=self._file_thread)
                size += len(piece)
                if size % ROOM_EVERY == 0:
                    await self._do(self._open_database.make_room)
            file = File(name, type, owner, size)
            replaced = await self._do(files.finish, number, file, thread=self._file_thread)
        except BaseException:
            await asyncio.shield(self._delete_pieces(number))
            raise
        if replaced is not None:
            await self._delete_pieces(replaced)
        return size

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        return await self._do(self._open_database.pieces.find, name, thread=self._file_thread)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        return await self._do(self._open_database.pieces.read, name, start, end, thread=self._file_thread)

    async def delete_file(self, name: str) -> None:
        """Delete a file: it is gone at once, and its pieces one after the other."""
        number = await self._do(self._open_database.pieces.unlink, name, thread=self._file_thread)
        if number is not None:
            await self._delete_pieces(number)

    async def _delete_pieces(self, number: int) -> None:
        with contextlib.suppress(StoreUnavailable):  # what is left is taken away when the store is opened
            self._open_backlog.deletions += 1
            delete = self._open_database.pieces.delete_pieces
            while await self._do(delete, number, thread=self._file_thread):
                pass
            self._purge_soon()

    async def _read(self, function: Callable[..., _T], *args: Any, key: Key | None = None) -> _T:
        """Call a function with the connection, on the store's thread, when it has what it is to read.

        That is the changes of a thread, if it reads no other, but for the entries that wait.
        """
        self._hand_over(key)
        return await self._do(self._open_database.read, function, *args)

    def _hand_over(self, key: Key | None) -> None:
        """Hand the changes of a thread, or of any, to the thread."""
        if self._open_backlog.concerns(key):
            self._open_database.portions.append(self._open_backlog.take())

    def _end_threads(self) -> None:
        for thread in (self._thread, self._file_thread, self._append_thread):
            if thread is not None:
                thread.shutdown(wait=False)
        self._thread = self._file_thread = self._append_thread = None

    async def _do(self, function: Callable[..., _T], *args: Any, thread: ThreadPoolExecutor | None = None) -> _T:
        """Call a function on a thread; on the one for SQLite unless another is named."""
        thread = thread or self._thread
        if thread is None:
            raise self._not_open()
        try:
            return await asyncio.wrap_future(thread.submit(self._patiently, function, *args))
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
        if is_refusal(error):
            return ChangeRefused(f"the store {self.path} refuses it: {error}")
        return StoreUnavailable(f"the store {self.path} failed: {error}")

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store {self.path} is not open")

    def _open(self) -> None:
        if self._database is None:
            if not self._place.parent.is_dir():
                raise StoreUnavailable(f"the store {self.path} needs the folder {self.path.parent}, which is missing")
            database = OpenDatabase(self._place, durable=self.durable, patience=self._patience, clock=self._clock)
            self._gone = 0
            self._backlog = Backlog(era=database.era, last_row=database.last_row, refused=database.writing.refused)
            self._database = database

    def _close_pieces(self) -> None:
        if self._database is not None:
            self._database.pieces.close()

    def _close(self) -> None:
        if self._database is not None:
            settled = False
            try:
                with contextlib.suppress(sqlite3.Error, OSError, StoreUnavailable):  # it is done by the next start
                    settled = self._patiently(self._database.settle)
            finally:
                self._database.close(settled=settled)
                self._database = self._backlog = None

    @property
    def _open_backlog(self) -> Backlog:
        if self._backlog is None:
            raise self._not_open()
        return self._backlog

    @property
    def _open_database(self) -> OpenDatabase:
        if self._database is None:
            raise self._not_open()
        return self._database
