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
        self.failing: StoreUnavailable | None = None  #: why the store did not take the last commit
        self.instant = store.instant
        self._pending: list[Change] = []
        self._writing: list[Change] = []
        self._ahead: dict[Thread, int] = {}
        self._ready = asyncio.Event()
        self._settled: list[asyncio.Future[None]] = []

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

    async def settled(self) -> None:
        """Wait until everything taken so far is kept.

        Raises:
            StoreUnavailable: The store did not take it; it is tried again, unless it is withdrawn.
        """
        if self._pending or self._writing:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settled.append(future)
            self._ready.set()
            await future

    async def run(self) -> None:
        """Write, for as long as the server lives."""
        tries = 0
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._pending:
                if await self._write():
                    tries = 0
                else:
                    await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                    tries += 1
            self._release(None)

    async def _write(self) -> bool:
        batch, ahead, waiting = self._pending, self._ahead, self._settled
        self._writing, self._pending, self._ahead, self._settled = batch, [], {}, []
        try:
            await self.store.commit(batch)
        except StoreUnavailable as error:
            self._pending = [*batch, *self._pending]
            self._ahead = {**ahead, **self._ahead}
            self._settled = [*waiting, *self._settled]
            if self.failing is None:
                _log.error("nothing is shown or accepted until the store works again: %s", error)
            self.failing = error
            self._writing = []
            self._release(error)
            return False
        except BaseException:
            self._pending = [*batch, *self._pending]
            raise
        self._writing = []
        if self.failing is not None:
            _log.warning("the store works again")
            self.failing = None
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
