"""What a hub does with threads that other processes hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from statecast.protocol import Cursor
from statecast.stores import Key
from statecast.threads.admission import AnyRun, Submission
from statecast.threads.calls.performing import Performer
from statecast.threads.calls.replies import Accepted, Gone, Refused, Reply
from statecast.threads.calls.requests import Call, Renew, Submit
from statecast.threads.claims import agrees
from statecast.threads.errors import LeaseLost, UnknownThread
from statecast.threads.limits import Limits
from statecast.threads.offload import offload
from statecast.threads.ownership.leases import HeldElsewhere
from statecast.threads.ownership.registry import SharedRegistry
from statecast.threads.rules import Posted, ThreadGone, decode_commands
from statecast.threads.runs.batch import Batch
from statecast.threads.runs.run_elsewhere import RunElsewhere
from statecast.threads.scheduler import Scheduler
from statecast.threads.thread import Thread

from .asking import Asking
from .begun import Begun, Perform
from .following import Following
from .mirrors import Mirrors
from .owners import Owners

__all__ = ["Elsewhere"]

#: Seconds until a thread is looked for again that another process has claimed, and not made yet.
AGAIN: Final = 0.02

#: A place that no thread has.
NOWHERE: Final = Cursor("", 0)


class Elsewhere:
    """Performs calls where their threads are held, and keeps mirrors of those threads.

    Args:
        registry: The threads.
        runs: The runs that execute here.
        performer: Performs calls on threads that are held here.
        perform: Performs calls wherever their threads are held.
        end_streams: Ends the streams here of an owner.
        limits: What is taken on.
    """

    def __init__(
        self,
        registry: SharedRegistry,
        runs: Scheduler,
        performer: Performer,
        perform: Perform,
        end_streams: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self._begun = Begun(perform)
        self.mirrors = Mirrors(registry, self._renew)
        self.following = Following(registry, runs, self._begun)
        self.owners = Owners(registry, end_streams)
        self._asking = Asking(registry, performer)
        self._registry = registry
        self._runs = runs
        self._limits = limits
        registry.on_stale = self.mirrors.read_again

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return what is to run as long as the server does."""
        return [self.mirrors.run(), self._asking.run(), self._begun.run(), self.following.run(), self.owners.run()]

    def _renew(self, thread: Thread, revision: int) -> None:
        """Begin a new epoch of a thread, as the engine has lost what readers here have seen up to a revision."""
        self._begun.begin(thread.key, Renew(thread.epoch, revision))

    async def ask(self, held: HeldElsewhere, call: Call) -> Reply | None:
        """Ask the process that holds a thread to perform a call; None: the call was lost with the thread.

        Raises:
            RequestError: What the process replied; `store_unavailable`.
        """
        reply = await self._asking.ask(held.key, held.process, call)
        if isinstance(reply, Refused):
            raise reply.error()
        return reply

    async def submit(self, posted: Posted, held: HeldElsewhere) -> Submission | None:
        """Submit a batch to the process that holds its thread; None: try again, the thread may be anybody's by now.

        The client's state is compared with the mirror here. Only the place where they agree is sent.

        Raises:
            ThreadGone: As `Admission.submit`.
            RequestError: Nothing was applied.
        """
        thread = await self.mirrors.find(held.key)
        if thread is None:
            if posted.since is not None:
                raise ThreadGone
            await asyncio.sleep(AGAIN)
            return None
        size = sum(len(bytes(command)) for command in posted.commands if isinstance(command, bytes | msgspec.Raw))
        commands = await offload(size, decode_commands, posted, self._limits)
        since = posted.since
        if since is None:
            since = Cursor(thread.epoch, thread.log.revision) if await agrees(posted.claim, thread) else NOWHERE
        batch = Batch(
            commands=commands,
            request=posted.request,
            on_disconnect=posted.on_disconnect,
            user=posted.user,
            applied=posted.applied,
            trace=posted.trace,
        ).encode()
        call = Submit(
            posted.agent.name,
            msgspec.Raw(batch),
            epoch=since.epoch,
            revision=since.revision,
            policy=posted.policy,
            says_again=posted.says_again,
            run_id=posted.run_id,
        )
        reply = await self.ask(held, call)
        if isinstance(reply, Accepted):
            return await self._accepted(held.key, reply, batch)
        if reply is not None and not isinstance(reply, Gone):
            raise LeaseLost()  # it is no reply to a batch
        if posted.since is not None:
            raise ThreadGone
        return None

    async def _accepted(self, key: Key, reply: Accepted, batch: bytes) -> Submission:
        """Return the submission for a batch that another process has accepted."""
        thread = await self.mirrors.find(key)
        if thread is None:
            raise UnknownThread(key.thread_id)
        run: AnyRun | None = None
        if reply.live and reply.run_id is not None:
            run = self._runs.get(reply.run_id) if thread.owned else _run_of(thread, reply.run_id)
            if run is None:  # it is over by now, and its stream shows how
                run = RunElsewhere(thread, reply.run_id, batch, start=reply.start, state=thread.last_run)
            elif isinstance(run, RunElsewhere):
                run.data = run.data or batch
                if run.waits_since is not None and reply.waits_since is not None:
                    run.waits_since = max(run.waits_since, reply.waits_since)
        revision = min(reply.revision, thread.log.revision)
        return Submission(thread=thread, run=run, run_id=reply.run_id, revision=revision, snapshot=reply.snapshot)


def _run_of(thread: Thread, run_id: str) -> AnyRun | None:
    """Return a run of a mirror that is queued or under way."""
    runs: list[AnyRun] = [*thread.queue.live]
    return next((run for run in runs if run.id == run_id), None)
