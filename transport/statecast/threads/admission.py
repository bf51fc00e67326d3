"""Admission: a posted batch starts a run, joins one, or is refused without effect.

A batch is accepted once it is stored. Its run begins afterwards, when no other run of the thread is active.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextvars import copy_context
from typing import Final

import msgspec

from statecast import stores
from statecast.protocol import Cursor, RunState
from statecast.protocol.errors import RequestError, Unauthorized
from statecast.stores import Key, StoreUnavailable
from statecast_agents import Agent, Document, new_id
from statecast_agents.commands import AnyCommand
from statecast_agents.memory_versions import Record

from .claims import adopt, agrees
from .errors import AgentMismatch, LeaseLost, ServerStopping, ThreadExists
from .limits import Limits
from .offload import offload
from .records.client_messages import reassigned
from .registry import Registry
from .rules import (
    Posted,
    ThreadGone,
    check_messages,
    check_policy,
    check_questions,
    chosen_policy,
    decode_commands,
    delivery_marks,
    is_repeated,
    marks_of,
    remember,
    remember_mark,
    unapplied,
    without_spent_id,
)
from .runs.batch import Batch
from .runs.deliveries import Delivery
from .runs.execution import Execution
from .runs.run_elsewhere import RunElsewhere
from .scheduler import Scheduler
from .thread import Thread

__all__ = ["Admission", "AnyRun", "Submission"]

#: A run, wherever it executes.
AnyRun = Execution | RunElsewhere

#: Policies that stop the run under way, so that the batch runs next.
STOPPING: Final = ("interrupt", "rollback")


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted request: the run that it led to, and where its stream starts."""

    thread: Thread
    run: AnyRun | None  #: None where there is nothing to run, or the run is over
    run_id: str | None
    revision: int
    snapshot: bool
    handed: bool = False  #: whether the client was handed the state at `revision`, but none of the run's message parts

    @property
    def cursor(self) -> Cursor:
        """Where the stream starts."""
        return Cursor(self.thread.epoch, self.revision)


class Admission:
    """Accept batches.

    Args:
        registry: The threads.
        runs: The runs.
        limits: What is taken on.
        knows_owners: Whether the app knows whose a request is.
    """

    def __init__(self, registry: Registry, runs: Scheduler, limits: Limits, *, knows_owners: bool = False) -> None:
        self._registry = registry
        self._knows_owners = knows_owners
        self._runs = runs
        self._limits = limits
        self._storing: set[asyncio.Task[None]] = set()  #: batches on their way to the store

    async def submit(self, posted: Posted) -> Submission:
        """Accept a batch: all of its commands are valid and stored, and run after what is already queued.

        Raises:
            RequestError: Nothing was applied.
        """
        self.check_open()
        size = sum(len(bytes(command)) for command in posted.commands if isinstance(command, bytes | msgspec.Raw))
        commands = await offload(size, decode_commands, posted, self._limits)
        key = Key(posted.owner, posted.thread_id or new_id("thr"))
        accepted: Submission | None = None
        while accepted is None:  # a thread may be deleted while its state is compared
            try:
                accepted = await self._submit(key, posted, commands)
            except LeaseLost:  # another process has claimed it meanwhile
                continue
        return accepted

    async def _submit(self, key: Key, posted: Posted, commands: list[AnyCommand]) -> Submission | None:
        """As `submit`; return None if the thread was removed meanwhile."""
        async with self._registry.one_at_a_time(key):
            existing = self._registry.get(key)
            if existing is not None and not existing.stored:
                await self._registry.wait_stored()  # the request that created it was given up before it was stored
                if self._storing:
                    await asyncio.wait(self._storing)  # it is stored, and about to be shown
            thread: Thread | None = None
            if posted.thread_id is None:
                await self._registry.reserve(key)
            else:
                thread = await self._registry.own(key)
            if thread is not None:
                return await self._post(thread, posted, commands)
            if posted.since is not None:
                raise ThreadGone
            if posted.thread_id is not None:
                await self.check_free(key)
            self._runs.room.check(posted.owner)
            document, adopted = await adopt(posted.claim, posted.agent, limit=self._limits.state)
            if adopted:
                self._runs.room.check(posted.owner)  # others may have come meanwhile
            thread = self._registry.make(key, posted.agent, document, lasting=posted.thread_id is not None)
            agreed = adopted or await agrees(posted.claim, thread)
            check_questions(thread, commands)
            check_messages(thread, commands, agrees=agreed)
            fresh, _ = unapplied(thread, commands)
            return await self._accept(thread, posted, fresh, agreed=agreed, created=thread.created())

    async def check_free(self, key: Key) -> None:
        """Check that a request without an owner creates no thread under an id that belongs to an owner.

        Such a request comes from a page that has lost its token; it must not continue silently in another conversation.

        Raises:
            RequestError: `unauthorized`; `store_unavailable`.
        """
        if self._knows_owners and key.owner is None and await self._registry.is_owned(key.thread_id):
            message = "the thread of this id belongs to a user; expected the credentials of that user, got none"
            raise Unauthorized(message)

    async def _post(self, thread: Thread, posted: Posted, commands: list[AnyCommand]) -> Submission | None:
        """Accept a batch for a known thread; return None if the thread was removed meanwhile."""
        self.assign(thread, posted.agent)
        thread.touch()
        agreed = await agrees(posted.claim, thread, runs=bool(commands))
        if self._registry.get(thread.key) is not thread or not thread.owned:
            return None
        thread.flush()
        if posted.since is not None:
            agreed = thread.is_unchanged(posted.since)
        if posted.says_again:
            commands = [without_spent_id(thread, command) for command in commands]
        deliveries = delivery_marks(posted, commands)
        handed = [thread.applied[mark.key][1] for mark in deliveries.values() if mark.key in thread.applied]
        if handed:  # to a run that was listening, before the thread was lost
            commands = [
                one for one in commands if (mark := deliveries.get(id(one))) is None or not is_repeated(thread, mark)
            ]
        fresh, original = unapplied(thread, commands)
        original = original or next(iter(handed), None)
        if posted.run_id is not None and thread.knows(posted.run_id):
            fresh, original = [], posted.run_id  # it was stored before the thread was lost, or its reply was
        active = thread.active
        revision = thread.log.revision
        if not fresh:
            losses = thread.losses
            await self._registry.wait_stored(thread.key)  # the first try may not be stored yet
            if thread.losses != losses:
                raise LeaseLost()  # nor will it ever be
            run = self._runs.get(original or "")
            if run is not None:
                joined = Submission(thread=thread, run=run, run_id=run.id, revision=run.start, snapshot=True)
            else:
                joined = Submission(thread=thread, run=None, run_id=original, revision=revision, snapshot=not agreed)
            return await self._take(posted, joined)
        if not posted.applied:
            check_questions(thread, fresh)
        wanted = [] if active is None or posted.applied else active.wanted(fresh)
        others = [command for command in fresh if not any(command is one for one in wanted)]
        if others:
            self.check_open()
            self._runs.room.check(posted.owner)
            check_policy(thread, posted, others)
        if active is None:
            if not thread.inbox and not posted.applied:
                check_messages(thread, fresh, agrees=agreed)
            return await self._accept(thread, posted, fresh, agreed=agreed)
        check_messages(thread, wanted, agrees=agreed)
        for command in wanted:
            batch = Batch(commands=[command], request=posted.request, user=posted.user, trace={**posted.trace})
            delivery = Delivery(new_id("run"), batch, copy_context())
            active.deliver(delivery, agrees=agreed and revision == thread.log.revision)
            remember(thread, command, active.id)
            if id(command) in deliveries:
                remember_mark(thread, deliveries[id(command)], active.id)
        if others:
            return await self._accept(thread, posted, others, agreed=agreed, revision=revision)
        self._registry.journal.add(*_touched(thread))
        delivered = Submission(thread=thread, run=active, run_id=active.id, revision=revision, snapshot=not agreed)
        return await self._take(posted, delivered)

    async def _take(self, posted: Posted, submission: Submission) -> Submission:
        """Return a submission that puts nothing into the inbox, once what it did is stored, and that it was taken."""
        thread, losses = submission.thread, submission.thread.losses
        self._registry.journal.add(*posted.taken(submission))
        await self._registry.wait_stored_through_outages(thread.key)
        if thread.losses != losses:
            raise LeaseLost()
        return submission

    async def _accept(
        self,
        thread: Thread,
        posted: Posted,
        commands: list[AnyCommand],
        *,
        agreed: bool,
        revision: int | None = None,
        created: Sequence[stores.Change] = (),
    ) -> Submission:
        """Put a batch into the inbox, and start it once it is stored and the thread is free."""
        self.check_open()
        revision = thread.log.revision if revision is None else revision
        changes: list[stores.SharedChange] = list(created)
        run: Execution | None = None
        if created:
            if not self._registry.journal.instant:
                thread.log.hide()
            self._registry.add(thread)
        if commands:
            batch = Batch(
                commands=commands,
                request=posted.request,
                on_disconnect=posted.on_disconnect,
                next_up=chosen_policy(thread, posted, commands) in STOPPING,
                user=posted.user,
                applied=posted.applied,
                trace={**posted.trace},
            )
            run = self._runs.new(thread, batch, agrees=agreed, id=posted.run_id, context=copy_context())
            for command in commands:
                for mark in marks_of(command):
                    thread.applied[mark.key] = (mark.digest, run.id)
                    changes.append(stores.BatchApplied(thread.key, mark.key, mark.digest, run.id))
            changes.append(stores.BatchAccepted(thread.key, run.id, batch.encode()))
            self._runs.queue(thread, run, stored=False)
        if changes:
            changes += _touched(thread)
        run_id = None if run is None else run.id
        submission = Submission(thread=thread, run=run, run_id=run_id, revision=revision, snapshot=not agreed)
        changes += posted.taken(submission)
        journal = self._registry.journal
        journal.add(*changes)
        journal.write_entries()
        storing = self._store(thread, posted, run, changes, created=bool(created), losses=thread.losses)
        if journal.all_stored:
            await storing
        else:
            # A request that is given up leaves no run behind that is neither stored nor withdrawn.
            task = asyncio.ensure_future(storing)
            self._storing.add(task)
            task.add_done_callback(self._on_stored)
            if journal.writer is not None:
                await self._registry.wait_stored(thread.key)  # where it fails, the run may begin all the same
            await asyncio.shield(task)
        return submission

    async def _store(
        self,
        thread: Thread,
        posted: Posted,
        run: Execution | None,
        changes: Sequence[stores.SharedChange],
        *,
        created: bool,
        losses: int,
    ) -> None:
        """Wait until a batch is stored, then let it begin; withdraw it if the store refuses.

        A shared store that did not confirm it may have it all the same: then the batch is written again until it does.
        """
        try:
            if self._registry.journal.writer is None:
                await self._registry.wait_stored(thread.key)
            else:
                await self._registry.wait_stored_through_outages(thread.key)
        except RequestError:
            self._registry.journal.withdraw(changes)
            self._withdraw(thread, run, changes, created=created)
            raise
        if thread.losses != losses:
            raise LeaseLost()
        thread.log.unhide()
        if run is not None:
            if thread.active is not None:
                policy = chosen_policy(thread, posted, run.batch.commands)
                if policy in STOPPING:
                    thread.active.cancel("interrupted", roll_back=policy == "rollback")
            self._runs.store(thread, run)

    def _on_stored(self, task: asyncio.Task[None]) -> None:
        self._storing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; if nobody did, nobody needs it

    def _withdraw(
        self, thread: Thread, run: Execution | None, changes: Sequence[stores.SharedChange], *, created: bool
    ) -> None:
        if run is not None:
            self._runs.withdraw(thread, run)
        for change in changes:
            if isinstance(change, stores.BatchApplied):
                thread.applied.pop(change.command_id, None)
        if created:
            self._registry.remove(thread)
        else:
            self._runs.start_next(thread)

    async def open(self, key: Key, agent: Agent, document: Document) -> Thread:
        """Return the thread of a summary; create it, with a document for its state, if only the summary exists.

        Raises:
            RequestError: Nothing was applied.
        """
        self.check_open()
        async with self._registry.one_at_a_time(key):
            thread = await self._registry.own(key)
            if thread is None:
                await self._registry.summary(key)
                thread = self._registry.make(key, agent, document)
                posted = Posted(agent=agent, commands=[], thread_id=key.thread_id, owner=key.owner)
                await self._accept(thread, posted, [], agreed=True, created=thread.created())
            return thread

    async def create(
        self,
        key: Key,
        agent: Agent,
        document: Document,
        memory: Sequence[Record],
        changes: Sequence[stores.Change],
        *,
        end: tuple[int, RunState | None] = (0, None),
    ) -> Thread:
        """Make a new thread, and return it once it is stored.

        Args:
            key: The thread's.
            agent: Its agent.
            document: Its state.
            memory: The versions of its agent's memory.
            changes: What is stored with it: its memory, and other records.
            end: The revision that its history ends with, and the latest run there, which has ended.

        Raises:
            HeldElsewhere: Another process has a thread of that id, or just makes it.
            RequestError: `thread_exists`; `unauthorized`; `store_unavailable`. Nothing was made.
        """
        self.check_open()
        async with self._registry.one_at_a_time(key):
            if await self._registry.own(key) is not None or await self._registry.store.summary(key) is not None:
                raise ThreadExists(key.thread_id)
            await self.check_free(key)
            thread = self._registry.make(key, agent, document)
            thread.begin_at(*end)
            thread.remember(memory)
            posted = Posted(agent=agent, commands=[], thread_id=key.thread_id, owner=key.owner)
            await self._accept(thread, posted, [], agreed=True, created=[*thread.created(), *changes])
            return thread

    def assign(self, thread: Thread, agent: Agent) -> None:
        """Assign a thread to an agent, unless more has happened on it than messages written into its history.

        Raises:
            RequestError: `agent_mismatch`; `server_stopping` or `store_unavailable`.
        """
        if thread.agent is agent:
            return
        changed = reassigned(thread, agent)
        if changed is None:
            message = f'the thread belongs to the agent "{thread.agent.name}", not to "{agent.name}"'
            raise AgentMismatch(message)
        self.check_open()  # what is refused is to leave the thread as it was
        thread.agent = agent
        self._registry.journal.add(stores.Assigned(thread.key, agent.name))
        for operation in changed:
            thread.document.apply(operation)
        thread.flush()

    def check_open(self) -> None:
        """Check that the server accepts requests.

        Raises:
            RequestError: `server_stopping` or `store_unavailable`.
        """
        if self._runs.stopping:
            raise ServerStopping()
        if self._registry.journal.failing is not None:
            raise StoreUnavailable()


def _touched(thread: Thread) -> list[stores.Change]:
    """Return the change that lists need after a message has arrived on a thread."""
    now = time.time()
    return [stores.SummaryChanged(key=thread.key, at=now, last=now)] if thread.lasting else []
