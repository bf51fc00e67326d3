"""The journal: what happens reaches the store before it reaches a reader.

Changes of all threads are written in the order they happened, everything that became ready during one commit with the
next. When the store fails they wait here, and nothing new is shown, until it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from statecast.stores import Change, Store, StoreUnavailable

if TYPE_CHECKING:
    from .thread import Thread

__all__ = ["Journal"]

RETRY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  #: seconds between tries; the last one goes on

_log: Final = logging.getLogger("statecast")


class Journal:
    """Writes changes to a store, and tells threads how far they are kept.

    Args:
        store: Where to.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.failing: Exception | None = None  #: why the store did not take what waits
        self.instant = store.instant
        self._pending: list[Change] = []
        self._writing: list[Change] = []
        self._ahead: dict[Thread, int] = {}
        self._ready = asyncio.Event()
        self._settled: list[asyncio.Future[None]] = []
        self._complained = False
        self.over = False  #: whether nothing is written any more

    def add(self, *changes: Change) -> None:
        """Take changes that have happened."""
        if self.instant:
            self.store.commit_nowait(changes)
        else:
            self._pending += changes
            self._ready.set()

    def add_entry(self, thread: Thread, change: Change, revision: int) -> None:
        """Take an entry; its thread shows it when it is kept. Not for instant stores."""
        self._pending.append(change)
        self._ahead[thread] = revision
        self._ready.set()

    def withdraw(self, changes: Sequence[Change]) -> None:
        """Take back changes that the store refused, after `settled` has raised."""
        gone = set(map(id, changes))
        self._pending = [change for change in self._pending if id(change) not in gone]
        if not self._pending:
            self.failing = None  # the next request is the next try

    async def settled(self) -> None:
        """Wait until everything taken so far is kept.

        Raises:
            StoreUnavailable: The store did not take it; it is tried again, unless it is withdrawn, or it is too late.
        """
        if self._pending or self._writing:
            if self.over:
                raise StoreUnavailable("the server has stopped")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settled.append(future)
            self._ready.set()
            await future

    async def run(self) -> None:
        """Write, for as long as the server lives."""
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
        batch, ahead, waiting = self._pending, self._ahead, self._settled
        self._writing, self._pending, self._ahead, self._settled = batch, [], {}, []
        try:
            await self.store.commit(batch)
        except Exception as error:  # a store that breaks its word must not take the server with it
            self._pending = [*batch, *self._pending]
            self._ahead = {**ahead, **self._ahead}
            self._settled = [*waiting, *self._settled]
            if not self._complained:
                reason = None if isinstance(error, StoreUnavailable) else error
                _log.error("nothing is shown or accepted until the store works again: %s", error, exc_info=reason)
            self._complained = True
            self.failing = error
            self._writing = []
            self._release(error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error)))
            return False
        except BaseException:
            self._pending = [*batch, *self._pending]
            self._settled = [*waiting, *self._settled]
            raise
        self._writing = []
        self.failing = None
        if self._complained:
            self._complained = False
            _log.warning("the store works again")
        for thread, revision in ahead.items():
            thread.show(revision)
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return True

    def _release(self, error: StoreUnavailable | None) -> None:
        waiting, self._settled = self._settled, []
        for future in waiting:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
