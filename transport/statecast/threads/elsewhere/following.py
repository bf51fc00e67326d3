"""Following runs elsewhere: the process that executes a run learns that streams of this one wait for it.

Only a run that is to stop when nobody waits for it any more needs that, see `FollowedElsewhere`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from statecast.protocol.errors import RequestError
from statecast.stores import Key
from statecast.threads.admission import AnyRun
from statecast.threads.calls.replies import Done, Reply
from statecast.threads.calls.requests import Abandon, Call, Follow
from statecast.threads.ownership.registry import SharedRegistry
from statecast.threads.runs.followed import REPEATED
from statecast.threads.runs.run_elsewhere import RunElsewhere
from statecast.threads.scheduler import Scheduler
from statecast.threads.thread import Thread

__all__ = ["Following", "Perform"]

#: Performs a call on a thread, wherever that is held; it raises RequestError.
Perform: TypeAlias = Callable[[Key, Call], Awaitable[Reply]]


class Following:
    """Says which runs elsewhere the streams of this process wait for.

    Args:
        registry: The threads.
        runs: The runs that execute here.
        perform: Performs a call.
    """

    def __init__(self, registry: SharedRegistry, runs: Scheduler, perform: Perform) -> None:
        self._registry = registry
        self._runs = runs
        self._perform = perform
        self._begun: set[asyncio.Task[None]] = set()

    def begin(self, thread: Thread, run: AnyRun) -> None:
        """Say that a stream waits for a run, if another process executes it."""
        if self._runs.get(run.id) is None and _stops(run):
            self._say(thread.key, run, Follow(run.id, self._registry.leases.process))

    def end(self, thread: Thread, run: AnyRun) -> None:
        """Say that the last stream here that waited for a run was lost."""
        if _stops(run):
            self._say(thread.key, run, Abandon(run.id, self._registry.leases.process))

    async def run(self) -> None:
        """Say again from time to time which runs are followed, until cancelled."""
        try:
            while True:
                await asyncio.sleep(REPEATED)
                for thread in self._registry:
                    if thread.readers and not thread.owned:
                        for run in thread.queue.live:
                            if thread.followers_of(run.id):
                                self.begin(thread, run)
        finally:
            for task in self._begun:
                task.cancel()

    def _say(self, key: Key, run: AnyRun, call: Call) -> None:
        """Begin a call that nobody waits for; what it is refused for is nobody's concern either."""

        async def perform() -> None:
            with contextlib.suppress(RequestError):
                reply = await self._perform(key, call)
                if isinstance(call, Follow) and isinstance(run, RunElsewhere) and isinstance(reply, Done):
                    run.stops = reply.done

        task = asyncio.get_running_loop().create_task(perform())
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)


def _stops(run: AnyRun) -> bool:
    """Return whether a run is, or may be, one that stops when nobody follows it."""
    if not isinstance(run, RunElsewhere):
        return run.batch.on_disconnect == "cancel"
    if run.stops is None and run.data:
        run.stops = run.batch.on_disconnect == "cancel"
    return run.stops is not False
