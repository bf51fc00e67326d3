"""Mirrors: what this process knows of threads that it does not hold is read from the store, when somebody needs it.

A mirror that has readers is read when a hint comes, and once per `POLL` in case one was lost. Whoever needs the state
as it is now has it read as well. One call to the store asks for all threads that become due in one turn of the event
loop; what becomes due meanwhile is asked for with the next, so that hints never queue up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from math import ceil
from typing import Final

from statecast.protocol.errors import RequestError
from statecast.stores import Damaged, Key, StoreUnavailable, Tail, topic_of
from statecast.threads.mirror import extend, place_of
from statecast.threads.ownership.hints import Hints
from statecast.threads.ownership.registry import SharedRegistry
from statecast.threads.thread import Thread

__all__ = ["Mirrors", "pause_of"]

#: Seconds between two looks at the store for what is followed; and as long as no hints arrive.
POLL: Final = 1.0
POLL_ALONE: Final = 0.2

#: Threads that one such look asks for: a hint at any of them waits until its answer is there.
SLICE: Final = 64

#: Calls to the store at once, each for other threads.
AT_ONCE: Final = 4

_log: Final = logging.getLogger("statecast")


def pause_of(hints: Hints) -> float:
    """Return the seconds between two looks at the store."""
    return POLL if hints.live else POLL_ALONE


class Mirrors:
    """Keeps mirrors up to date.

    Args:
        registry: The threads.
        on_ahead: Called with a thread that has readers, and the revision up to which they may have seen it, if the
            engine has lost its end.
    """

    def __init__(self, registry: SharedRegistry, on_ahead: Callable[[Thread, int], None]) -> None:
        self._registry = registry
        self._on_ahead = on_ahead
        self._followed: dict[Key, None] = {}  #: threads with readers, owned ones too: they may become mirrors
        self._due: dict[Key, list[asyncio.Future[None]]] = {}  #: mirrors to be read, and who waits for that
        self._reading: set[Key] = set()
        self._soon = False  #: whether what is due is read at the end of this turn
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, key: Key) -> Thread | None:
        """Return a thread as it is now; None if there is none.

        Raises:
            RequestError: `agent_mismatch` if its agent is not served; `thread_damaged` if its data cannot be read;
                `store_unavailable`.
        """
        known = self._registry.get(key)
        if known is not None and known.owned:
            await self._registry.leases.confirm([key])  # after a pause, another process may have it by now
            if not known.stored:
                await self._registry.wait_stored(key)  # other processes may have seen it already
        thread = await self._registry.find(key)
        if thread is None or thread.owned or known is None:
            return thread
        await self.refresh(thread)
        return await self._registry.find(key)  # it may have gone from memory only: then it is read whole

    async def refresh(self, thread: Thread) -> None:
        """Bring a mirror up to date.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`; `agent_mismatch`.
        """
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._due.setdefault(thread.key, []).append(waiting)
        self._read_soon()
        await waiting
        if not thread.gone:
            thread.flush()

    def follow(self, thread: Thread) -> None:
        """Follow a thread from now on, as long as it has readers."""
        key = thread.key
        if key not in self._followed:
            self._followed[key] = None
            self._registry.hints.follow(topic_of(key), partial(self._hinted, key))
            self.look(key)  # what came before the hints

    def read_again(self, thread: Thread) -> None:
        """Read a thread soon that was this process's until now."""
        self.look(thread.key)

    def look(self, key: Key) -> None:
        """Read a mirror soon: there may be something new."""
        self._due.setdefault(key, [])
        self._read_soon()

    async def run(self) -> None:
        """Look at what is followed from time to time, until cancelled."""
        hints = self._registry.hints
        hints.on_lost(self._look_at_all)
        try:
            while True:
                keys = list(self._followed)
                slices = max(1, ceil(len(keys) / SLICE))
                for number in range(slices):
                    await asyncio.sleep(pause_of(hints) / slices)
                    self._look_at(keys[number::slices])
        finally:
            for task in self._tasks:
                task.cancel()
            self._release(self._due, StoreUnavailable("the server has stopped"))
            self._due.clear()
            self._followed.clear()

    def _hinted(self, key: Key) -> None:
        thread = self._registry.get(key)
        if thread is not None and not thread.owned:
            self.look(key)

    def _look_at_all(self) -> None:
        self._look_at(list(self._followed))

    def _look_at(self, keys: Sequence[Key]) -> None:
        """Look at threads that are followed, and follow those no longer that have no readers."""
        for key in keys:
            thread = self._registry.get(key)
            if thread is None or not thread.readers:
                self._followed.pop(key, None)
                self._registry.hints.unfollow(topic_of(key))
            elif not thread.owned:
                self._due.setdefault(key, [])
        self._read_soon()

    def _read_soon(self) -> None:
        """Read what is due at the end of this turn, all of it together."""
        if not self._soon and len(self._tasks) < AT_ONCE:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """Read what is due, unless it is being read, or much else is: then it follows."""
        self._soon = False
        if len(self._tasks) >= AT_ONCE:
            return
        due = {key: waiting for key, waiting in self._due.items() if key not in self._reading}
        if due:
            for key in due:
                del self._due[key]
            self._reading.update(due)
            task = asyncio.get_running_loop().create_task(self._read(due))
            self._tasks.add(task)
            task.add_done_callback(partial(self._read_on, due))

    def _read_on(self, keys: Collection[Key], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._reading.difference_update(keys)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the changes of other processes could not be read", exc_info=task.exception())
        if not task.cancelled():
            self._read_soon()

    async def _read(self, due: dict[Key, list[asyncio.Future[None]]]) -> None:
        """Read mirrors, and release who waits for them."""
        try:
            places = {}
            for key in due:
                thread = self._registry.get(key)
                if thread is None or thread.owned:
                    continue
                if thread.log.stale:
                    await self._read_one(due, thread, self._reload(thread))
                else:
                    places[key] = place_of(thread)
            while places:
                tails = await self._registry.shared.tails(places)
                places = {}
                for tail in tails:
                    thread = self._registry.get(tail.key)
                    if thread is None or thread.owned:
                        continue
                    read = await self._read_one(due, thread, self._extend(thread, tail))
                    if read and tail.more and not thread.owned:
                        places[tail.key] = place_of(thread)
        except BaseException as error:
            self._release(due, error if isinstance(error, RequestError) else StoreUnavailable(repr(error)))
            if not isinstance(error, StoreUnavailable):  # else whoever follows looks again
                raise
        self._release(due, None)

    async def _read_one(
        self, due: dict[Key, list[asyncio.Future[None]]], thread: Thread, reading: Awaitable[None]
    ) -> bool:
        """Read one mirror, and return whether it could be; if not, its streams end: whoever comes again learns why.

        Raises:
            StoreUnavailable: The others cannot be read either.
        """
        try:
            await reading
        except StoreUnavailable:
            raise
        except RequestError as error:
            self._registry.remove(thread)
            self._release({thread.key: due[thread.key]}, error)
            return False
        return True

    async def _extend(self, thread: Thread, tail: Tail) -> None:
        """Add what is new to a mirror.

        Raises:
            RequestError: `thread_damaged`; `agent_mismatch`; `store_unavailable`.
        """
        if tail.gone:
            self._registry.remove(thread)
            return
        try:
            enough = extend(thread, tail, self._registry.agent_named(tail.agent))
        except RequestError:
            raise
        except Exception as error:  # whatever is wrong with one stored thread must not affect the others
            self._registry.remove(thread)
            raise self._registry.damaged(thread.key, error) from None
        if not enough:
            await self._reload(thread)

    async def _reload(self, thread: Thread) -> None:
        """Read a mirror whole."""
        key = thread.key
        claims = thread.released, thread.losses
        epoch, seen = thread.epoch, thread.log.visible
        try:
            saved = await self._registry.shared.load(key)
        except Damaged as error:
            self._registry.remove(thread)
            raise self._registry.damaged(key, error) from None
        if self._registry.get(key) is not thread or thread.owned:
            return
        if (thread.released, thread.losses) != claims:
            self.look(key)  # this process has written to it meanwhile: what was read may be older
            return
        if saved is None:
            self._registry.remove(thread)
        else:
            self._registry.reload(thread, saved)
            if thread.readers and thread.epoch == epoch and thread.log.revision < seen:
                self._on_ahead(thread, seen)

    def _release(self, due: dict[Key, list[asyncio.Future[None]]], error: Exception | None) -> None:
        for waiting in due.values():
            for future in waiting:
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
