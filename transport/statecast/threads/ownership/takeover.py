"""Takeover: work that nobody does is found, and taken over by whoever claims it first.

A thread is left with work when its process has ended, or gave it up: a batch in its inbox, a run that has begun and not
ended, or a call of another process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from random import Random
from typing import Final

from statecast.protocol.errors import RequestError
from statecast.stores import Key, SharedStore, StoreUnavailable

from .hints import WORK, Hints
from .leases import HeldElsewhere

__all__ = ["Takeover"]

#: Threads that are taken over at a time.
AT_ONCE: Final = 8

#: Seconds after which a thread is tried again that could not be taken over.
AGAIN: Final = 10.0

_log: Final = logging.getLogger("statecast")


class Takeover:
    """Looks for work that is left, and takes it over.

    Args:
        store: Where it looks.
        hints: Where it hears of work.
        own: Claims a thread, and goes on with what is left on it.
        process: This process's id.
        seconds: Between two looks.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        store: SharedStore,
        hints: Hints,
        own: Callable[[Key], Awaitable[object]],
        *,
        process: str,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._hints = hints
        self._own = own
        self._seconds = seconds
        self._clock = clock
        self._order = Random(process)  #: each process begins with other threads
        self._left: dict[Key, float] = {}  #: threads that could not be taken over, and when they are tried again
        self._hinted = asyncio.Event()

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Take over what is left, from time to time and when there is a hint, until the server stops."""
        self._hints.follow(WORK, self._hinted.set)
        self._hints.on_lost(self._hinted.set)
        while not stopping():
            try:
                async with asyncio.timeout(self._seconds):
                    await self._hinted.wait()
            except TimeoutError:
                pass
            self._hinted.clear()
            if stopping():
                return
            try:
                await self.take(await self._store.unfinished())
            except StoreUnavailable:
                continue
            except Exception:  # one error is not to leave everything undone that others leave
                _log.exception("the threads of other processes could not be taken over")

    async def take(self, keys: Collection[Key]) -> None:
        """Take over threads, except those of which that failed a moment ago."""
        now = self._clock()
        self._left = {key: at for key, at in self._left.items() if at > now}
        waiting = [key for key in keys if key not in self._left]
        self._order.shuffle(waiting)

        async def take_some() -> None:
            while waiting:
                try:
                    await self._take(waiting.pop())
                except StoreUnavailable:
                    waiting.clear()  # the next look finds them again

        await asyncio.gather(*(take_some() for _ in range(min(AT_ONCE, len(waiting)))))

    async def _take(self, key: Key) -> None:
        try:
            await self._own(key)
        except HeldElsewhere:
            pass
        except StoreUnavailable:
            raise
        except RequestError as error:
            self._left[key] = self._clock() + AGAIN
            _log.warning("the thread %r is left as it is: %s", key.thread_id, error)
