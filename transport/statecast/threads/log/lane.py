"""A lane: changes on their way to the store, one batch at a time, so that those of one thread are written in order.

What becomes ready in one turn of the event loop is written together, and what becomes ready during a commit with the
next. While the store is unavailable, changes wait here, and nothing new is visible.

A store that works may still refuse a change for good. Then the changes of each thread are written apart, those that it
refuses are set aside, and their threads take nothing more; all others go on.

A store that several processes share may have written a batch that it did not confirm. So the same batch is written
again until it is confirmed, and nothing that follows is added to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Final, Protocol, cast

from statecast.stores import Appended, Change, ChangeRefused, Key, SharedChange, Store, StoreUnavailable
from statecast.stores.by_thread import by_thread
from statecast.threads.observer import Observers

from .log import Log
from .turn import Turn

__all__ = ["Lane", "Outlet", "SharedWriter"]

RETRY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  #: seconds between tries; the last one goes on


class SharedWriter(Protocol):
    """Writes to a store that other processes write to as well."""

    async def write(self, changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
        """Write changes, and return the threads whose changes the store refuses for good, and why.

        Threads that another process has claimed are dropped: nothing of theirs is written, now or later.

        Raises:
            StoreUnavailable: Some may have been written; the same changes are to be written again.
        """


class Outlet(Protocol):
    """What the lanes of a journal have in common."""

    store: Store
    turn: Turn
    observer: Observers
    writer: SharedWriter | None  #: None: no other process has the store
    failing: StoreUnavailable | None  #: why the store did not take what waits
    over: bool  #: whether nothing is written any more
    refused: set[Key]  #: threads of which a change was refused; nothing of theirs is written any more

    def failed(self, error: StoreUnavailable, fault: Exception | None) -> None:
        """Record that the store took nothing; `fault` is an error that the store itself knows nothing of."""

    def worked(self) -> None:
        """Record that the store took what it was given."""

    def emptied(self) -> None:
        """Record that a lane has nothing left to write: it was stored, withdrawn or dropped."""

    def set_aside(self, changes: Sequence[SharedChange], reason: Exception) -> None:
        """Set aside changes that the store refuses for good."""


class Lane:
    """Writes the changes of some threads, and makes entries visible in their logs when they are stored.

    Args:
        outlet: Where to.
    """

    __slots__ = (
        "_ahead",
        "_outlet",
        "_pending",
        "_ready",
        "_turn",
        "_waiting",
        "_writing",
        "_writing_ahead",
    )

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._turn = outlet.turn
        self._pending: list[SharedChange] = []
        self._writing: list[SharedChange] = []
        self._ahead: dict[Log, Appended] = {}  #: the last entry of each log that waits here
        self._writing_ahead: dict[Log, Appended] = {}  #: likewise, of what is being written
        self._waiting: list[asyncio.Future[None]] = []
        self._ready = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether everything added so far is stored."""
        return not self._pending and not self._writing

    @property
    def unstored(self) -> Sequence[SharedChange]:
        """The changes that are not stored yet."""
        return [*self._writing, *self._pending]

    def has(self, key: Key) -> bool:
        """Return whether something of a thread is not stored yet."""
        return any(change.key == key for changes in (self._pending, self._writing) for change in changes)

    def add(self, changes: Iterable[SharedChange]) -> None:
        """Add changes."""
        self._pending += changes
        self._turn.end_soon()

    def add_entry(self, log: Log, change: Appended) -> None:
        """Add an entry, visible in its log when it is stored."""
        if change.key in self._outlet.refused:
            return
        self._pending.append(change)
        self._ahead[log] = change
        self._turn.end_soon()

    def write(self) -> None:
        """Write what waits, and show it, if the store takes it at once; else the task writes it. Raises nothing."""
        if not self._pending or self._writing:
            return  # the task goes on with what waits
        if self._outlet.failing is not None or not self._append():
            self._ready.set()
            return
        ahead, waiting = self._ahead, self._waiting
        self._pending, self._ahead, self._waiting = [], {}, []
        self._stored(ahead, waiting)

    def _append(self) -> bool:
        """Write what waits, if the store takes it at once, and return whether it did."""
        observer = self._outlet.observer
        started = observer.clock() if observer.times_commits else 0.0
        try:
            written = self._outlet.store.append_nowait(cast("Sequence[Change]", self._pending))
        except Exception:  # whatever it is: `commit` says whose fault it is, and all others go on
            return False
        if written and observer.times_commits:
            observer.committed(len(self._pending), observer.clock() - started, None)
        return written

    def _stored(self, ahead: Mapping[Log, Appended], waiting: Iterable[asyncio.Future[None]]) -> None:
        """Show the entries that are stored, and release who waited for them."""
        for log, last in ahead.items():
            if last.key not in self._outlet.refused:
                log.show(last.revision)
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def withdraw(self, gone: Collection[int]) -> None:
        """Withdraw changes, by their identities, that the store cannot have."""
        self._pending = [change for change in self._pending if id(change) not in gone]

    def drop(self, keys: Set[Key]) -> None:
        """Forget what waits of threads, and show nothing of them that is being written."""
        self._pending = [change for change in self._pending if change.key not in keys]
        self._writing = [change for change in self._writing if change.key not in keys]
        for ahead in (self._ahead, self._writing_ahead):
            for log in [log for log, last in ahead.items() if last.key in keys]:
                del ahead[log]

    def wait(self) -> asyncio.Future[None]:
        """Return what is done when everything added so far is stored; it raises what `release` is given."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._ready.set()
        return future

    async def run(self) -> None:
        """Write changes until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            tries = 0
            while not self.is_empty:
                if await self._write():
                    tries = 0
                else:
                    await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                    tries += 1
            self._outlet.emptied()
            self.release(None)

    async def _write(self) -> bool:
        """Write what waits, or again what the store did not confirm; return whether it did now."""
        waiting: list[asyncio.Future[None]] = []
        if not self._writing:
            self._writing, self._writing_ahead, waiting = self._pending, self._ahead, self._waiting
            self._pending, self._ahead, self._waiting = [], {}, []
        fault: Exception | None = None  #: that the store itself knows nothing of
        try:
            try:
                await self._commit(self._writing)
            except StoreUnavailable:
                raise
            except Exception as error:
                fault = None if isinstance(error, ChangeRefused) else error
                await self._write_apart(error)
        except StoreUnavailable as error:
            self._requeue(waiting)
            self._outlet.failed(error, fault)
            self.release(error)
            return False
        except BaseException:
            self._requeue(waiting)
            raise
        ahead, self._writing, self._writing_ahead = self._writing_ahead, [], {}
        self._outlet.worked()
        self._stored(ahead, waiting)
        return True

    async def _commit(self, changes: Sequence[SharedChange]) -> None:
        writer = self._outlet.writer
        refused: Mapping[Key, Exception] = {}
        with self._outlet.observer.committing(len(changes)):
            if writer is None:
                await self._outlet.store.commit(cast("Sequence[Change]", changes))  # calls are in shared ones
            else:
                refused = await writer.write(changes)
        for key, reason in refused.items():
            self._outlet.set_aside([change for change in changes if change.key == key], reason)

    async def _write_apart(self, error: Exception) -> None:
        """Write the changes of each thread separately, and set aside those that the store refuses.

        An error that is not a store's own word may say that the store itself is broken. It counts as a refusal only
        where the store takes other changes, or none at all.

        Raises:
            StoreUnavailable: What is in `_writing` is still to be written.
        """
        refused: list[tuple[Sequence[SharedChange], Exception]] = []
        works = False
        for changes in by_thread(self._writing):
            try:
                await self._commit(changes)
                works = True
            except StoreUnavailable as away:
                raise away from error
            except Exception as reason:
                works = works or isinstance(reason, ChangeRefused)
                refused.append((changes, reason))
            else:
                written = set(map(id, changes))
                self._writing = [change for change in self._writing if id(change) not in written]
        if not works:
            try:
                await self._commit(())
            except Exception:  # the store is broken, whatever it says
                raise StoreUnavailable(str(error)) from error
        for group, why in refused:
            self._outlet.set_aside(group, why)

    def _requeue(self, waiting: Sequence[asyncio.Future[None]]) -> None:
        """Have what was to be written written again, with what waits if the store cannot have it."""
        self._waiting = [*waiting, *self._waiting]
        if self._outlet.writer is None:
            self._pending = [*self._writing, *self._pending]
            self._ahead = {**self._writing_ahead, **self._ahead}
            self._writing, self._writing_ahead = [], {}

    def release(self, error: StoreUnavailable | None) -> None:
        """Release who waits, with an error if the store did not take what they wait for."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
