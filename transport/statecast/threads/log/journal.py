"""Journal: every change reaches the store before it reaches a reader.

Changes of all threads are written in order, all that become ready in one turn of the event loop together. Where the
store cannot take them at once, a task writes them, and what becomes ready during a commit is written with the next.
While the store is unavailable, changes wait here and nothing new is visible.

A store that works may still refuse a change for good. Then the changes of each thread are written apart, those that it
refuses are set aside, and their threads take nothing more; all others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from statecast.stores import Appended, Change, ChangeRefused, Deleted, Key, Store, StoreUnavailable
from statecast.stores.by_thread import by_thread

from .log import Log
from .turn import Turn

__all__ = ["Journal"]

RETRY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  #: seconds between tries; the last one goes on

_log: Final = logging.getLogger("statecast")


class Journal:
    """Writes changes to a store, and makes entries visible in their logs when they are stored.

    Args:
        store: Where to.
        on_refused: Called with each thread whose changes the store refuses for good.
    """

    def __init__(self, store: Store, on_refused: Callable[[Key], None] = lambda key: None) -> None:
        self.store = store
        self.refused: set[Key] = set()  #: threads of which a change was refused; nothing of theirs is written any more
        self._on_refused = on_refused
        self.failing: Exception | None = None  #: why the store did not take what waits
        self.instant = store.instant
        self.turn = Turn(self.write_entries)  #: at its end, states are flushed, entries written, and readers read
        self._pending: list[Change] = []
        self._writing: list[Change] = []
        self._ahead: dict[Log, Appended] = {}  #: the last entry of each log that waits here
        self._ready = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._reported = False
        self.over = False  #: whether nothing is written any more

    def add(self, *changes: Change) -> None:
        """Add changes."""
        if self.refused:
            changes = tuple(change for change in changes if self._takes(change))
        if self.instant:
            try:
                self.store.commit_nowait(changes)
            except Exception as error:  # whatever it is, it is not the fault of whoever made another change
                self._set_aside(changes, error)
        else:
            self._pending += changes
            self.turn.end_soon()

    def add_entry(self, log: Log, change: Appended) -> None:
        """Add an entry, visible in its log when it is stored. Not for instant stores."""
        if change.key in self.refused:
            return
        self._pending.append(change)
        self._ahead[log] = change
        self.turn.end_soon()

    def write_entries(self) -> None:
        """Write what waits, and show it, if the store takes it at once; else the task writes it.

        It may be called at any time, on the event loop, and raises nothing.
        """
        if not self._pending or self._writing or self.over:
            return  # the task goes on with what waits
        if self.failing is not None or not self._append():
            self._ready.set()
            return
        ahead, waiting = self._ahead, self._waiting
        self._pending, self._ahead, self._waiting = [], {}, []
        self._stored(ahead, waiting)

    def _append(self) -> bool:
        """Write what waits, if the store takes it at once, and return whether it did."""
        try:
            return self.store.append_nowait(self._pending)
        except Exception:  # whatever it is: `commit` says whose fault it is, and all others go on
            return False

    def _stored(self, ahead: dict[Log, Appended], waiting: list[asyncio.Future[None]]) -> None:
        """Show the entries that are stored, and release who waited for them."""
        for log, last in ahead.items():
            if last.key not in self.refused:
                log.show(last.revision)
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def withdraw(self, changes: Sequence[Change]) -> None:
        """Withdraw changes that the store refused, after `wait_stored` has raised."""
        gone = set(map(id, changes))
        self._pending = [change for change in self._pending if id(change) not in gone]
        if not self._pending:
            self.failing = None  # the next request is the next try

    @property
    def all_stored(self) -> bool:
        """Whether everything added so far is stored."""
        return not self._pending and not self._writing

    async def wait_stored(self) -> None:
        """Wait until everything added so far is stored.

        Raises:
            StoreUnavailable: The store did not take it; it is tried again, unless it is withdrawn, or it is too late.
        """
        if self._pending or self._writing:
            if self.over:
                raise StoreUnavailable("the server has stopped")
            self.write_entries()
        if self._pending or self._writing:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            self._ready.set()
            await future

    async def run(self) -> None:
        """Write changes until cancelled."""
        try:
            while True:
                await self._ready.wait()
                self._ready.clear()
                tries = 0
                while self._pending:
                    if await self._write():
                        tries = 0
                    else:
                        await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                        tries += 1
                self._release(None)
        finally:
            self.over = True
            self._release(StoreUnavailable("the server has stopped"))

    async def _write(self) -> bool:
        batch, ahead, waiting = self._pending, self._ahead, self._waiting
        self._writing, self._pending, self._ahead, self._waiting = batch, [], {}, []
        left: Sequence[Change] = batch
        fault: Exception | None = None  #: that the store itself knows nothing of
        try:
            try:
                await self.store.commit(batch)
            except StoreUnavailable:
                raise
            except Exception as error:
                left, away = await self._write_apart(batch, error)
                if away is not None:
                    fault = None if isinstance(error, ChangeRefused) else error
                    raise away from error
        except StoreUnavailable as error:
            self._requeue(left, ahead, waiting)
            if not self._reported:
                _log.error("nothing is shown or accepted until the store works again: %s", error, exc_info=fault)
            self._reported = True
            self.failing = error
            self._release(error)
            return False
        except BaseException:
            self._requeue(left, ahead, waiting)
            raise
        self._writing = []
        self.failing = None
        if self._reported:
            self._reported = False
            _log.warning("the store works again")
        self._stored(ahead, waiting)
        return True

    async def _write_apart(
        self, batch: Sequence[Change], error: Exception
    ) -> tuple[Sequence[Change], StoreUnavailable | None]:
        """Write the changes of each thread separately, and set aside those that the store refuses.

        Returns what is still to be written, and why it could not be.

        An error that is not a store's own word may say that the store itself is broken. It counts as a refusal only
        where the store takes other changes, or none at all.
        """
        refused: list[tuple[Sequence[Change], Exception]] = []
        groups = by_thread(batch)
        works = False
        for index, changes in enumerate(groups):
            try:
                await self.store.commit(changes)
                works = True
            except StoreUnavailable as away:
                left = (*(group for group, _ in refused), *groups[index:])
                return [change for group in left for change in group], away
            except Exception as reason:
                works = works or isinstance(reason, ChangeRefused)
                refused.append((changes, reason))
        if not works:
            try:
                await self.store.commit(())
            except Exception:  # the store is broken, whatever it says
                return batch, StoreUnavailable(str(error))
        for group, why in refused:
            self._set_aside(group, why)
        return (), None

    def _set_aside(self, changes: Sequence[Change], reason: Exception) -> None:
        for key in dict.fromkeys(change.key for change in changes):
            kinds = ", ".join(dict.fromkeys(type(change).__name__ for change in changes if change.key == key))
            _log.error(
                "the store refuses what happened on the thread %r (%s), which is lost; nothing more of the thread is "
                "written until it is deleted, or the server starts again: %s",
                key.thread_id,
                kinds,
                reason,
                exc_info=None if isinstance(reason, ChangeRefused) else reason,
            )
            self.refused.add(key)
            self._on_refused(key)

    def _takes(self, change: Change) -> bool:
        """Return whether a change is written: none of a thread that was refused one, unless it deletes the thread."""
        if isinstance(change, Deleted):
            self.refused.discard(change.key)
        return change.key not in self.refused

    def _requeue(
        self, changes: Sequence[Change], ahead: dict[Log, Appended], waiting: list[asyncio.Future[None]]
    ) -> None:
        self._writing = []
        self._pending = [*changes, *self._pending]
        self._ahead = {**ahead, **self._ahead}
        self._waiting = [*waiting, *self._waiting]

    def _release(self, error: StoreUnavailable | None) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
