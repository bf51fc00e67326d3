"""The supervisor of a server: the task in which it opens the store, takes up what was left, and tends its threads.

The tasks of runs are its own as well, so that nothing a request began dies with the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from math import ceil
from typing import Any, Final

from statecast.protocol import RunError
from statecast.stores import StoreUnavailable

from .limits import Limits
from .registry import Registry
from .runs.exit_guard import contain, release
from .scheduler import Scheduler

__all__ = ["Supervisor"]

#: Seconds between looks at the store for threads whose time is over.
SWEEP: Final = 60.0

#: Threads whose streams send heartbeats at once.
SLICE: Final = 64

#: What a run fails with that has gone on without the store for too long.
AWAY: Final = RunError("store_unavailable", "The store could not be reached.")

_log: Final = logging.getLogger("statecast")


class Supervisor:
    """Starts and ends with a server.

    Args:
        registry: The threads.
        runs: Their runs.
        limits: How often it looks after them.
        tasks: Returns what else is to run as long as the server does.
        tidy: Erases what is too old, about once a second while the store works.
    """

    def __init__(
        self,
        registry: Registry,
        runs: Scheduler,
        limits: Limits,
        *,
        tasks: Callable[[], Sequence[Coroutine[Any, Any, None]]] = tuple,
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._runs = runs
        self._limits = limits
        self._tasks = tasks
        self._tidy = tidy
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()  #: set once runs can be started
        self._stop = asyncio.Event()
        self._last_sweep = 0.0
        self._away: float | None = None  #: since when the store takes nothing

    @property
    def started(self) -> bool:
        """Whether it runs, or is about to, on this event loop."""
        loop = asyncio.get_running_loop()
        return self._task is not None and self._task.get_loop() is loop and not self._task.done()

    @property
    def alive(self) -> bool:
        """Whether it has not ended by itself, as by an error of this library."""
        return self._task is None or not self._task.done() or self._stop.is_set()

    @property
    def ready(self) -> bool:
        """Whether it runs on this event loop, and runs can be started."""
        return self.started and self._ready.is_set()

    async def start(self) -> None:
        """Open the store, start the task group of runs, and resume stored work; the first request also does so.

        Raises:
            StoreUnavailable: The store cannot be opened.
        """
        if self.started:
            await self._until_ready()
            return
        self._registry.restart()
        self._runs.restart()
        self._stop, self._ready = asyncio.Event(), asyncio.Event()
        # Whoever comes first starts it, but its context variables are nobody's.
        self._task = asyncio.create_task(self._run(), name="statecast hub", context=Context())
        await self._until_ready()

    async def _until_ready(self) -> None:
        if self._ready.is_set() or self._task is None:
            return
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._task  # raises why it could not start

    async def stop(self) -> None:
        """End, once no run is left and everything is stored."""
        if self._task is not None and not self._task.done():
            self._stop.set()
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        contain(loop)
        try:
            await self._serve()
        finally:
            release(loop)

    async def _serve(self) -> None:
        await self._registry.open()
        try:
            unfinished = await self._registry.store.unfinished()
        except StoreUnavailable:
            await self._registry.aclose()
            raise
        async with asyncio.TaskGroup() as tasks:
            self._runs.supervisor = asyncio.current_task()
            work = [
                *self._registry.tasks(lambda: self._runs.stopping),
                *self._tasks(),
                self._keep_up(),
                self._send_heartbeats(),
            ]
            upkeep = [tasks.create_task(each) for each in work]
            await self._registry.take_up(unfinished)
            self._ready.set()
            await self._stop.wait()
            await self._runs.idle.wait()
            await self._wait_stored_at_last()
            await self._registry.hand_over()
            for task in upkeep:
                task.cancel()
        self._runs.supervisor = None
        await self._registry.aclose()

    async def _wait_stored_at_last(self) -> None:
        try:
            await self._registry.journal.wait_stored()
        except StoreUnavailable as error:
            _log.error("the last changes could not be stored: %s", error)

    async def _keep_up(self) -> None:
        """Stop runs that are out of time, unload idle threads, and delete expired ones."""
        limits = self._limits
        tick = min(1.0, limits.heartbeat_seconds / 2, limits.run_seconds / 2, limits.waiting_seconds / 2)
        while True:
            due = self._registry.clock() + tick
            await asyncio.sleep(tick)
            now = self._registry.clock()
            self._registry.observer.woke_late(max(0.0, now - due))
            self._runs.check_time(now)
            self._check_store(now)
            self._check_followed(now)
            await self._registry.tend(now)
            if self._registry.journal.failing is None:
                with contextlib.suppress(StoreUnavailable):
                    await self._tidy()
            if now - self._last_sweep > SWEEP and self._registry.journal.failing is None:
                self._last_sweep = 0.0 if await self._registry.sweep() else now

    def _check_followed(self, now: float) -> None:
        """Stop runs that processes followed which have ended, where nobody else does; a run that waits needs nobody."""
        for run in list(self._runs):
            if run.followed.has_ended(now) and run.waits_since is None:
                thread = self._registry.get(run.thread.key)
                if thread is not None and not thread.followers_of(run.id):
                    self._runs.abandon(thread, run)

    async def _send_heartbeats(self) -> None:
        """Send heartbeats on idle streams, a few threads at a time: entries of runs are sent in between."""
        pause = self._limits.heartbeat_seconds / 2
        while True:
            slices = max(1, ceil(len(self._registry) / SLICE))
            for number in range(slices):
                await asyncio.sleep(pause / slices)
                threads = list(self._registry)
                first, last = (len(threads) * end // slices for end in (number, number + 1))
                for thread in threads[first:last]:
                    thread.log.beat()

    def _check_store(self, now: float) -> None:
        """Fail runs that go on without the store for too long, or with too much that it does not take."""
        journal, limits = self._registry.journal, self._limits
        if journal.failing is None:
            self._away = None
            return
        self._away = now if self._away is None else self._away
        is_long = now - self._away > limits.outage_seconds
        unstored = journal.unstored()
        for thread in self._registry:
            run = thread.active
            too_much = unstored.get(thread.key, 0) > limits.unstored
            if run is not None and run.begun and run.waits_since is None and (is_long or too_much):
                run.fail(AWAY)
