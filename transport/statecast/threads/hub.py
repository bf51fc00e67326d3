"""Hub: all threads of a server, and the tasks of their runs.

It starts with the server and ends with it, finds threads and stops their runs, and owns what they run in, so that
nothing a request began dies with the request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextvars import Context
from typing import Final, TypeVar

import anyio
import msgspec

from statecast import stores
from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError, ResumeMismatch, RunActive, RunMismatch
from statecast.stores import Key, Store, StoreUnavailable
from statecast_agents import Agent, Json, Messages, Operation

from .admission import Admission, Submission
from .cascade import Cascade
from .claims import Claim, agrees
from .client_messages import follows, rewritten, written
from .deletion import Deletion
from .directory import Directory
from .execution import INTERRUPTED, Execution
from .exit_guard import contain, release
from .hook_calls import HookCalls, InThread
from .limits import Limits
from .offload import offload
from .patches import patch
from .readiness import Readiness
from .refusals import unavailable, unknown_thread
from .registry import Registry
from .resume_point import ResumePoint
from .rules import Posted
from .scheduler import Scheduler
from .thread import Thread

__all__ = ["Hub", "Submission"]

#: Seconds between looks at the store for threads whose time is over.
SWEEP: Final = 60.0

_T = TypeVar("_T")

_log: Final = logging.getLogger("statecast")


class Hub:
    """All threads of a server.

    Args:
        agents: The agents by name.
        store: Where threads are kept; default: in memory.
        limits: What it takes on.
        debug: Whether errors of an agent's code are shown to clients.
        knows_owners: Whether the app knows whose a request is.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        *,
        store: Store | None = None,
        limits: Limits | None = None,
        debug: bool = False,
        knows_owners: bool = False,
    ) -> None:
        self.agents = dict(agents)
        self.limits = limits or Limits()
        self._runs = Scheduler(self.limits, debug=debug)
        self.registry = Registry(store or stores.MemoryStore(), self.agents, self.limits, self._runs.revive)
        self.directory = Directory(self.registry, self._start)  #: cards and notes
        self._admission = Admission(self.registry, self._runs, self.limits, knows_owners=knows_owners)
        self.cascade = Cascade(self.registry)
        self._removal = Deletion(self.registry, self._runs, self.cascade)
        self.registry.cascade = self.cascade.go
        self._readiness = Readiness(self.registry)
        self._supervisor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()  #: set once runs can be started
        self._stop = asyncio.Event()
        self._swept = 0.0

    @property
    def threads(self) -> int:
        """How many threads are in memory."""
        return len(self.registry)

    @property
    def runs(self) -> int:
        """How many runs are queued or under way."""
        return len(self._runs)

    @property
    def stopping(self) -> bool:
        """Whether nothing is accepted any more."""
        return self._runs.stopping

    async def start(self) -> None:
        """Open the store, start what runs live in, and take up what was left, if not yet done. Requests do so too.

        Raises:
            StoreUnavailable: The store cannot be opened.
        """
        loop = asyncio.get_running_loop()
        if self._supervisor is not None and self._supervisor.get_loop() is loop and not self._supervisor.done():
            await self._until_ready()
            return
        self.registry.restart()
        self._runs.restart()
        self._stop, self._ready = asyncio.Event(), asyncio.Event()
        # Whoever comes first starts it, but its context variables are nobody's.
        self._supervisor = loop.create_task(self._supervise(), name="statecast hub", context=Context())
        await self._until_ready()

    async def _until_ready(self) -> None:
        if self._ready.is_set() or self._supervisor is None:
            return
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ready, self._supervisor}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._supervisor  # raises why it could not start

    async def aclose(self, *, grace: float = 0.0) -> None:
        """Accept nothing more, give runs `grace` seconds to end, interrupt the others, and end all streams.

        Queued batches stay in the store, and run when the server is back.
        """
        self._runs.stopping = True
        for execution in self._runs:
            if not execution.begun:
                self._runs.forget(execution)  # it stays in its thread's inbox, so that its stream is not over
                execution.leave()
            elif execution.waits_since is not None:
                execution.cancel("interrupted", INTERRUPTED)  # nobody can answer it any more
        with anyio.move_on_after(grace):
            await self._runs.none_left.wait()
        for execution in self._runs:
            execution.cancel("interrupted", INTERRUPTED, hurry=True)
        for asked in list(self._runs.hooks):
            asked.close(hurry=True)
        if self._supervisor is not None and not self._supervisor.done():
            self._stop.set()
            await self._supervisor
        for thread in self.registry:
            thread.log.close()
            if self.registry.store.instant and thread.lasting:
                thread.compact()  # so that another hub may take it up

    async def check_ready(self) -> None:
        """Check that requests would be accepted now.

        Raises:
            RequestError: `server_stopping` or `store_unavailable`.
        """
        self._admission.check_open()
        await self._start()
        await self._readiness.check()

    def loaded(self, thread_id: str, *, owner: str | None = None) -> Thread | None:
        """Return a thread that is in memory; None for one that is only in the store, or nowhere."""
        return self.registry.get(Key(owner, thread_id))

    async def find(self, thread_id: str, *, owner: str | None = None) -> Thread:
        """Return a thread by its id.

        Raises:
            RequestError: `unknown_thread`; also for one that belongs to another owner. `store_unavailable`.
        """
        thread = await self.known(thread_id, owner=owner)
        if thread is None:
            raise unknown_thread(thread_id)
        return thread

    async def _start(self) -> None:
        """Start on the first request, where no lifespan did; once stopped, it stays so until it is started again."""
        if not self._runs.stopping:
            try:
                await self.start()
            except StoreUnavailable as error:
                _log.error("%s", error)
                raise unavailable() from None

    async def known(self, thread_id: str, *, owner: str | None = None) -> Thread | None:
        """Return a thread by its id; None for one that is not known, also because it belongs to another owner.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self._start()
        return await self.registry.find(Key(owner, thread_id))

    async def check_free(self, key: Key) -> None:
        """Check that a request of nobody in particular makes no thread of the same id as somebody's.

        Raises:
            RequestError: `unauthorized`; `store_unavailable`.
        """
        await self._start()
        await self._admission.check_free(key)

    async def submit(self, posted: Posted) -> Submission:
        """Accept a batch: all of its commands are valid, kept, and will be run after whatever waits already.

        Raises:
            RequestError: Nothing was applied.
        """
        await self._start()
        return await self._admission.submit(posted)

    async def resume(
        self, thread_id: str, claim: Claim, *, owner: str | None = None, run_id: str | None = None
    ) -> Submission | None:
        """Return where a client that lost a thread's stream goes on; None for a thread that is not known.

        Args:
            thread_id: The thread.
            claim: The state as the client has it.
            owner: Whose it is.
            run_id: The run that is meant, or what `hand_out` named it; None: whichever is active.

        Raises:
            RequestError: `run_mismatch` when another run than `run_id` is active; `store_unavailable`.
        """
        thread = await self.known(thread_id, owner=owner)
        if thread is None:
            return None
        await self.registry.settle(thread.key)  # what is said of a run is kept, and so is what is replayed
        thread.flush()
        active, latest = thread.active, thread.run
        if active is not None:
            _check_run(active, run_id, mismatch=ResumeMismatch)
        last = None if latest is None else latest.id
        handed = None if run_id is None or claim is not msgspec.UNSET else ResumePoint.parse(run_id).place_in(thread)
        if handed is not None:
            return Submission(thread=thread, run=active, run_id=last, revision=handed, snapshot=False, handed=True)
        placed = last is not None and run_id is not None and ResumePoint.parse(run_id).is_place_in(last)
        if active is None and placed and claim is msgspec.UNSET:
            # That place is not in the log any more: besides the state, the client hears how its run has ended.
            return Submission(thread=thread, run=None, run_id=last, revision=thread.log.before_the_end, snapshot=True)
        if active is None:
            revision = thread.log.revision
            snapshot = not await agrees(claim, thread) or thread.log.revision != revision
            return Submission(thread=thread, run=None, run_id=last, revision=revision, snapshot=snapshot)
        return Submission(thread=thread, run=active, run_id=last, revision=active.start, snapshot=True)

    async def hand_out(self, thread_id: str, *, owner: str | None = None) -> tuple[str, bytes] | None:
        """Return what `resume` is to be given to go on from here, and the state here as JSON.

        None where nothing is active, or only the client can go on; also for a thread that is not known.

        Raises:
            RequestError: `store_unavailable`.
        """
        thread = await self.known(thread_id, owner=owner)
        active = None if thread is None else thread.active
        if thread is None or active is None or active.waits_since is not None:
            return None
        revision, state = await self.registry.snapshot(thread)
        return str(ResumePoint(active.id, Cursor(thread.epoch, revision))), state

    async def cancel(
        self, thread_id: str, *, owner: str | None = None, run_id: str | None = None, queued: bool = False
    ) -> tuple[str | None, bool]:
        """Ask the active run of a thread to stop; returns its id, and whether there was one to stop.

        Args:
            thread_id: The thread.
            owner: Whose it is.
            run_id: The run that is meant; None: whichever is active.
            queued: Also drop what waits behind it.

        Raises:
            RequestError: `unknown_thread`; `run_mismatch` when another run is active.
        """
        thread = await self.find(thread_id, owner=owner)
        active, named = thread.active, thread.run
        if active is not None:
            _check_run(active, run_id)
            active.cancel()
        if queued and thread.inbox:
            self._runs.drop(thread, *thread.inbox)
            await self.registry.kept(thread.key)  # a crash is not to bring them back
        return (None if named is None else named.id), active is not None

    async def patch(self, thread_id: str, steps: Sequence[dict[str, Json]], *, owner: str | None = None) -> Cursor:
        """Apply a client's RFC 6902 patch to the parts of a state that the agent lets clients write.

        Raises:
            RequestError: `unknown_thread`; `run_active`, because it would race the run, or `patch_failed`;
                `not_writable`; `state_too_large`, `patch_too_large`; `invalid_patch`, `invalid_state`.
        """
        thread = await self.find(thread_id, owner=owner)
        self._admission.check_open()
        if thread.active is not None or thread.inbox:
            raise RunActive("a run is under way; send a command, or patch when it has ended")
        patch(thread, steps, self.limits)
        thread.used = time.monotonic()
        thread.flush()
        revision = thread.log.revision
        await self.registry.kept(thread.key)
        return Cursor(thread.epoch, revision)

    async def write(self, thread_id: str, messages: Sequence[Json], agent: Agent, *, owner: str | None = None) -> None:
        """Make messages those of a thread, as long as no agent has run on it; afterwards the state is the agent's.

        Args:
            thread_id: The thread; it is made if there is only its card.
            messages: All of them, as in a state.
            agent: Whose a new thread is to be.
            owner: Whose it is.

        Raises:
            RequestError: `unknown_thread`; `invalid_state` for messages that no state can hold; `store_unavailable`.
        """
        await self._start()
        key = Key(owner, thread_id)
        size = len(msgspec.json.encode(messages))
        thread = await self.registry.find(key)
        if thread is None:
            document = await offload(size, written, agent, messages)
            thread = await self._admission.open(key, agent, document)
            if thread.document is document:
                await self.registry.kept(thread.key)
                return
        operations: Sequence[Operation] = ()
        revision = -1
        while revision != thread.snapshot()[0]:  # others may write meanwhile
            revision, encoded = thread.snapshot()
            operations = await offload(size + len(encoded), rewritten, thread.agent, encoded, messages)
        if thread.run is None and not thread.inbox:  # afterwards the state is the agent's
            for operation in operations:
                thread.document.apply(operation)
        thread.flush()
        await self.registry.kept(thread.key)

    async def extend(self, thread: Thread, parent_id: str | None, message: dict[str, Json]) -> bool:
        """Put a message behind the others of a thread, as `write` would, and return whether it belongs there.

        It costs what the message holds; whether it does not belong there is for `write` to mend.

        Raises:
            RequestError: `store_unavailable`.
        """
        if not follows(thread, parent_id):
            return False
        Messages(thread.document, thread.agent.messages or ()).items.append(message)
        thread.flush()
        await self.registry.kept(thread.key)
        return True

    def entrust(self, thread: Thread, agent: Agent) -> None:
        """Make a thread an agent's, if it is not, and nobody has done more with it than write into its history.

        Raises:
            RequestError: `agent_mismatch`; `server_stopping` or `store_unavailable`.
        """
        self._admission.entrust(thread, agent)

    def ask(
        self, agent: Agent, key: Key, what: str, pieces: Callable[[InThread], AsyncGenerator[_T, None]]
    ) -> HookCalls[_T]:
        """Let a hook of an agent work for a thread, as a run would: counted, for as long, and stopped as one.

        Args:
            agent: The agent.
            key: The thread, and who asks.
            what: What it makes, for the log.
            pieces: The hook.

        Raises:
            RequestError: `server_stopping` or `server_full`; `too_many_runs`.
        """
        return self._runs.ask(agent, key, what, pieces)

    async def delete(self, thread_id: str, *, owner: str | None = None) -> None:
        """Delete a thread with all that is kept of it; its run is cancelled, and its streams end.

        Raises:
            RequestError: `unknown_thread`; `store_unavailable`.
        """
        await self._start()
        await self._removal.delete(Key(owner, thread_id))

    async def move(self, owner: str | None, to: str | None) -> int:
        """Make all threads of an owner another's, and return how many; those whose id the other has are left.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self._start()
        return await self._removal.move(owner, to)

    def end_streams(self, owner: str) -> None:
        """End the streams of all threads of an owner, so that their clients come again, if they may."""
        for thread in self.registry:
            if thread.owner == owner:
                thread.log.close()

    def left(self, accepted: Submission) -> None:
        """Note that a stream was lost before its run had ended."""
        thread, run = accepted.thread, accepted.run
        if run is None or run.batch.on_disconnect != "cancel" or thread.followers_of(run.id):
            return
        if run is thread.active:
            run.cancel()
        elif run in thread.inbox:
            self._runs.drop(thread, run)

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        contain(loop)
        try:
            await self._serve()
        finally:
            release(loop)

    async def _serve(self) -> None:
        await self.registry.store.open()
        try:
            unsettled = await self.registry.store.unsettled()
        except StoreUnavailable:
            await self.registry.store.aclose()
            raise
        async with asyncio.TaskGroup() as tasks:
            self._runs.supervisor = asyncio.current_task()
            tending = [tasks.create_task(self.registry.journal.run()), tasks.create_task(self._tend())]
            for key in unsettled:
                try:
                    await self.registry.find(key)
                except RequestError as refusal:
                    _log.warning("the thread %r is left as it is: %s", key.thread_id, refusal)
            self._ready.set()
            await self._stop.wait()
            await self._runs.none_left.wait()
            await self._settle_at_last()
            for task in tending:
                task.cancel()
        self._runs.supervisor = None
        await self.registry.store.aclose()

    async def _settle_at_last(self) -> None:
        try:
            await self.registry.journal.settled()
        except StoreUnavailable as error:
            _log.error("what happened last could not be kept: %s", error)

    async def _tend(self) -> None:
        """Stop runs whose time is over, send heartbeats, let go of threads that nobody needs, and end old ones."""
        limits = self.limits
        tick = min(1.0, limits.heartbeat_seconds / 2, limits.run_seconds / 2, limits.waiting_seconds / 2)
        beaten = time.monotonic()
        while True:
            await asyncio.sleep(tick)
            now = time.monotonic()
            for execution in self._runs:
                execution.check_time(now)
            for asked in list(self._runs.hooks):
                asked.check_time(now)
            if now - beaten >= limits.heartbeat_seconds / 2:
                beaten = now
                for thread in self.registry:
                    thread.log.beat()
            self.registry.tidy(now)
            if now - self._swept > SWEEP and self.registry.journal.failing is None:
                self._swept = 0.0 if await self.registry.sweep() else now


def _check_run(active: Execution, run_id: str | None, *, mismatch: type[RunMismatch] = RunMismatch) -> None:
    if run_id is not None and ResumePoint.parse(run_id).run_id != active.id:
        message = f'expected the id of the active run, "{active.id}", got "{run_id}"'
        raise mismatch(message, run_id=active.id)
