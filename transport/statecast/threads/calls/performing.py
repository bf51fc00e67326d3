"""Performing calls on threads that this process may write to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from statecast.protocol import Cursor
from statecast.stores import Key, SharedChange
from statecast.threads.admission import Admission, Submission
from statecast.threads.errors import AgentMismatch, LeaseLost, RunActive, UnknownThread
from statecast.threads.limits import Limits
from statecast.threads.offload import offload
from statecast.threads.past import Past
from statecast.threads.patches import patch
from statecast.threads.records.client_messages import append, rewrite, written
from statecast.threads.records.deletion import Deletion
from statecast.threads.registry import Registry
from statecast.threads.resuming import check_run
from statecast.threads.rewinding import rewind
from statecast.threads.rules import NO_RUN, Posted, ThreadGone, is_repeated, patch_mark, remember_mark, rewind_mark
from statecast.threads.runs.batch import Batch
from statecast.threads.scheduler import Scheduler
from statecast.threads.thread import Thread
from statecast_agents import Agent

from .replies import Accepted, Cancelled, Done, Gone, Patched, Reply
from .requests import Abandon, Assign, Call, Cancel, Delete, Extend, Follow, Move, Patch, Renew, Rewind, Submit, Write

__all__ = ["Performer", "Taken", "accepted", "nothing"]

#: Returns what is to be stored together with what a call does, so that the call is never performed twice.
Taken = Callable[[Reply], Sequence[SharedChange]]


def nothing(reply: Reply) -> Sequence[SharedChange]:
    """Return no changes: the call is not in the store."""
    return ()


class Performer:
    """Performs calls.

    Args:
        registry: The threads.
        runs: Their runs.
        admission: Takes batches.
        deletion: Deletes and moves threads.
        past: Reads what threads were.
        agents: The agents by name.
        limits: What a call may ask for.
    """

    def __init__(
        self,
        registry: Registry,
        runs: Scheduler,
        admission: Admission,
        deletion: Deletion,
        past: Past,
        agents: Mapping[str, Agent],
        limits: Limits,
    ) -> None:
        self._registry = registry
        self._runs = runs
        self._admission = admission
        self._deletion = deletion
        self._past = past
        self._agents = agents
        self._limits = limits

    async def perform(self, key: Key, call: Call, taken: Taken = nothing) -> Reply:
        """Perform a call on a thread, which is claimed, and return what came of it once it is stored.

        Args:
            key: The thread's.
            call: The call.
            taken: What is stored with it.

        Raises:
            HeldElsewhere: Another process has claimed the thread.
            RequestError: Nothing was applied; `lease_lost`: another process has claimed the thread meanwhile.
        """
        match call:
            case Submit():
                return await self._submit(key, call, taken)
            case Delete():
                await self._deletion.delete(key, taken=lambda: taken(Done()))
                return Done()
            case Move():
                return Done(await self._deletion.move(key, call.owner, taken=lambda moved: taken(Done(moved))))
        thread = await self._registry.own(key)
        if isinstance(call, Write):
            return await self._write(key, thread, call, taken)
        if thread is None:
            raise UnknownThread(key.thread_id)
        match call:
            case Cancel():
                return await self._cancel(thread, call, taken)
            case Patch():
                return await self._patch(thread, call, taken)
            case Rewind():
                return await self._rewind(thread, call, taken)
            case Extend():
                done = Done(append(thread, call.parent_id, call.message))
                return await self._stored(thread, done, taken, waits=done.done)
            case Assign():
                self._admission.assign(thread, self._agent(call.agent))
            case Abandon():
                run = self._runs.get(call.run_id)
                if run is not None:
                    run.followed.end(call.process)
                    if not thread.followers_of(run.id):
                        self._runs.abandon(thread, run)
            case Follow():
                run = self._runs.get(call.run_id)
                stops = run is not None and run.batch.on_disconnect == "cancel"
                if run is not None and stops:
                    run.followed.begin(call.process, self._registry.clock())
                return await self._stored(thread, Done(stops), taken, waits=False)
            case Renew():
                if thread.epoch == call.epoch and thread.log.revision < call.revision:
                    self._registry.begin_epoch(thread)
        return await self._stored(thread, Done(), taken, waits=isinstance(call, Renew))

    async def _submit(self, key: Key, call: Submit, taken: Taken) -> Reply:
        agent = self._agent(call.agent)
        batch = Batch.decode(bytes(call.batch), agent.commands)
        posted = Posted(
            agent=agent,
            commands=batch.commands,
            thread_id=key.thread_id,
            since=Cursor(call.epoch, call.revision),
            owner=key.owner,
            user=batch.user,
            trace=batch.trace,
            request=batch.request,
            on_disconnect=batch.on_disconnect,
            applied=batch.applied,
            policy=call.policy,
            says_again=call.says_again,
            run_id=call.run_id,
            taken=lambda submission: taken(accepted(submission)),
        )
        try:
            return accepted(await self._admission.submit(posted))
        except ThreadGone:
            reply = Gone()
            self._registry.journal.add(*taken(reply))
            await self._registry.wait_stored_through_outages(key)
            return reply

    async def _cancel(self, thread: Thread, call: Cancel, taken: Taken) -> Reply:
        active, named = thread.active, thread.run
        asks = active is None and thread.asks
        if named is not None and (active is not None or asks):
            check_run(named.id, call.run_id)
        if active is not None:
            active.cancel()
        drops = call.queued and bool(thread.inbox)
        if drops:
            self._runs.cancel_queued(thread, *thread.inbox)
        if asks:
            self._runs.dismiss(thread)
        reply = Cancelled(None if named is None else named.id, active is not None or asks)
        return await self._stored(thread, reply, taken, waits=drops or asks)  # a crash is not to bring them back

    async def _patch(self, thread: Thread, call: Patch, taken: Taken) -> Reply:
        if call.key is not None and is_repeated(thread, patch_mark(call.key, call.steps)):
            return await self._stored(thread, Patched(thread.epoch, thread.log.revision), taken)
        self._admission.check_open()
        if thread.active is not None or thread.inbox:
            raise RunActive("a run is active; send a command, or patch when it has ended")
        patch(thread, call.steps, self._limits)
        if call.key is not None:
            remember_mark(thread, patch_mark(call.key, call.steps), NO_RUN)
        thread.touch()
        thread.flush()
        return await self._stored(thread, Patched(thread.epoch, thread.log.revision), taken)

    async def _rewind(self, thread: Thread, call: Rewind, taken: Taken) -> Reply:
        self._admission.check_open()
        mark = None if call.key is None else rewind_mark(call.key, call.revision)
        if mark is not None and is_repeated(thread, mark):
            return await self._stored(thread, Patched(thread.epoch, thread.log.revision), taken)
        while True:
            if call.cancel:
                await self._deletion.stop(thread)
            elif thread.active is not None or thread.inbox:
                raise RunActive('a run is active; wait for its end, or send "cancel": true to stop it')
            point = await self._past.point(thread, call.revision)
            state = await offload(len(point.state), msgspec.json.decode, point.state)
            if thread.gone:
                raise UnknownThread(thread.id)
            if not thread.owned:
                raise LeaseLost()
            if thread.active is None and not thread.inbox:
                break
        if mark is not None:
            remember_mark(thread, mark, NO_RUN)
        if thread.asks:
            self._runs.dismiss(thread)
        rewind(thread, point, state)
        thread.touch()
        return await self._stored(thread, Patched(thread.epoch, thread.log.revision), taken)

    async def _write(self, key: Key, thread: Thread | None, call: Write, taken: Taken) -> Reply:
        size = len(msgspec.json.encode(call.messages))
        if thread is None:
            agent = self._agent(call.agent)
            document = await offload(size, written, agent, call.messages)
            thread = await self._admission.open(key, agent, document)
            if thread.document is document:
                return await self._stored(thread, Done(), taken)
        await rewrite(thread, call.messages, size)
        return await self._stored(thread, Done(), taken)

    async def _stored(self, thread: Thread, reply: Reply, taken: Taken, *, waits: bool = True) -> Reply:
        """Return a reply once what was done is stored, and that it was; without `waits`, nothing of it need be."""
        changes, losses = taken(reply), thread.losses
        self._registry.journal.add(*changes)
        if waits or changes:
            await self._registry.wait_stored_through_outages(thread.key)
        if thread.losses != losses:
            raise LeaseLost()
        return reply

    def _agent(self, name: str) -> Agent:
        agent = self._agents.get(name)
        if agent is None:
            raise AgentMismatch(f'the request is for the agent "{name}", which is not served here')
        return agent


def accepted(submission: Submission) -> Accepted:
    """Return the reply for a batch that was accepted."""
    run = submission.run
    return Accepted(
        submission.run_id,
        live=run is not None,
        start=0 if run is None else run.start,
        revision=submission.revision,
        snapshot=submission.snapshot,
        waits_since=None if run is None else run.waits_since,
    )
