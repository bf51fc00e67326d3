"""Following runs elsewhere: the process that executes a run learns that streams of this one wait for it.

Only a run that is to stop when nobody waits for it any more needs that, see `FollowedElsewhere`.
"""

from __future__ import annotations

import asyncio

from statecast.threads.admission import AnyRun
from statecast.threads.calls.replies import Done, Reply
from statecast.threads.calls.requests import Abandon, Follow
from statecast.threads.ownership.registry import SharedRegistry
from statecast.threads.runs.followed import REPEATED
from statecast.threads.runs.run_elsewhere import RunElsewhere
from statecast.threads.scheduler import Scheduler
from statecast.threads.thread import Thread

from .begun import Begun

__all__ = ["Following"]


class Following:
    """Says which runs elsewhere the streams of this process wait for.

    Args:
        registry: The threads.
        runs: The runs that execute here.
        begun: Performs calls.
    """

    def __init__(self, registry: SharedRegistry, runs: Scheduler, begun: Begun) -> None:
        self._registry = registry
        self._runs = runs
        self._begun = begun

    def begin(self, thread: Thread, run: AnyRun) -> None:
        """Say that a stream waits for a run, if another process executes it."""
        if self._runs.get(run.id) is None and _stops(run):

            def replied(reply: Reply) -> None:
                if isinstance(run, RunElsewhere) and isinstance(reply, Done):
                    run.stops = reply.done

            self._begun.begin(thread.key, Follow(run.id, self._registry.leases.process), replied)

    def end(self, thread: Thread, run: AnyRun) -> None:
        """Say that the last stream here that waited for a run was lost."""
        if _stops(run):
            self._begun.begin(thread.key, Abandon(run.id, self._registry.leases.process))

    async def run(self) -> None:
        """Say again from time to time which runs are followed, until cancelled."""
        while True:
            await asyncio.sleep(REPEATED)
            for thread in self._registry:
                if thread.readers and not thread.owned:
                    for run in thread.queue.live:
                        if thread.followers_of(run.id):
                            self.begin(thread, run)


def _stops(run: AnyRun) -> bool:
    """Return whether a run is, or may be, one that stops when nobody follows it."""
    if not isinstance(run, RunElsewhere):
        return run.batch.on_disconnect == "cancel"
    if run.stops is None and run.data:
        run.stops = run.batch.on_disconnect == "cancel"
    return run.stops is not False
