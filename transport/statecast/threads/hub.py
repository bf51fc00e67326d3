"""Hub: all threads of a server, and what clients can do with them. It starts with the server, and ends with it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import anyio
import msgspec
from msgspec import UnsetType

from statecast import stores
from statecast.protocol import Cursor
from statecast.stores import Durability, Key, RecordErased, Store, StoreUnavailable, Wake, is_shared
from statecast_agents import Agent, Json, new_id

from .admission import Admission, AnyRun, Submission
from .archive import Archive
from .calls.performing import Performer
from .calls.replies import Cancelled, Done, Patched, Reply
from .calls.requests import Assign, Call, Cancel, Delete, Extend, Move, Patch, Renew, Rewind, Write
from .claims import Claim
from .copies import Copies
from .elsewhere.elsewhere import Elsewhere
from .elsewhere.owners import ReadMark
from .errors import LeaseLost, ServerStopping, UnknownThread
from .exports import Exports
from .imports import Imports
from .limits import Limits
from .making import AGAIN, Making
from .observer import Observers
from .ownership.leases import HeldElsewhere
from .ownership.registry import SharedRegistry
from .past import Past
from .readiness import ReadinessCheck
from .recording import BATCH, RunRecord
from .records.cascade import Cascade
from .records.deletion import Deletion
from .records.directory import Directory
from .records.run_history import RunHistory, again, retry_of
from .registry import Registry
from .resuming import resume, resume_point
from .rules import Posted
from .run_log import RunLog
from .runs.execution import Execution
from .runs.hook_calls import HookCalls, InThread
from .scheduler import Scheduler
from .supervisor import Supervisor
from .thread import Thread

__all__ = ["Hub", "Submission"]

_T = TypeVar("_T")

#: What the log says once if a request starts it.
NO_LIFESPAN: Final = (
    "the first request starts the agents, because the server did not: queued commands have waited for it, and streams "
    "will be cut off when the server stops. If the app is mounted, give the outer app its lifespan, as in "
    "FastAPI(lifespan=agents.lifespan)"
)

#: Seconds between two looks whether the streams of runs elsewhere have ended, while the server stops.
LOOK: Final = 0.05

_log: Final = logging.getLogger("statecast")


class Hub:
    """All threads of a server.

    Args:
        agents: The agents by name.
        store: Where threads are kept; default: in memory.
        limits: What it takes on.
        debug: Whether errors of an agent's code are shown to clients.
        knows_owners: Whether the app knows whose a request is.
        wake: How hints travel between processes that share the store; None: the store's own way.
        clock: A monotonic clock, in seconds; all times of the engine but dates count by it.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        *,
        store: Store | None = None,
        limits: Limits | None = None,
        debug: bool = False,
        knows_owners: bool = False,
        wake: Wake | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.observer = Observers(RunLog(), clock=clock)  #: learns what the hub does
        self.agents = dict(agents)
        self.knows_owners = knows_owners
        self.limits = limits or Limits()
        self._runs = Scheduler(self.limits, debug=debug, clock=clock, observer=self.observer)
        self.store = store or stores.MemoryStore(clock=clock)  #: as it was given; the registry may watch its calls
        self.registry = self._registry_of(self.store, wake, clock)
        self.directory = Directory(self.registry, self._start)  #: summaries and records
        self._history = RunHistory(self.directory, self.registry, debug=debug)
        self._admission = Admission(self.registry, self._runs, self.limits, knows_owners=knows_owners)
        self.cascade = Cascade(self.registry)
        self._deletion = Deletion(self.registry, self._runs, self.cascade)
        self.registry.cascade = self.cascade.go
        self._readiness = ReadinessCheck(self.registry)
        self.past = Past(self.registry)  #: what threads were
        making = Making(self.registry, lambda key: self.known(key.thread_id, owner=key.owner))
        self.copies = Copies(self.directory, self._admission, self.past, making)  #: makes threads of others
        self.exports = Exports(self.registry, self.directory, self.past, self._history)  #: writes them as documents
        self.imports = Imports(self._admission, making, self.limits, self._start)  #: makes threads of documents
        self._performer = Performer(
            self.registry, self._runs, self._admission, self._deletion, self.past, self.agents, self.limits
        )
        self._elsewhere = self._elsewhere_of(self.registry)  #: None: no other process has the store
        more = (lambda: ()) if self._elsewhere is None else self._elsewhere.tasks
        limits = self.limits
        archive = Archive(self.registry, most=limits.history_entries, most_bytes=limits.history_bytes)
        if limits.history_entries and limits.history_bytes:
            self.registry.archive = archive.take
        self._supervisor = Supervisor(
            self.registry,
            self._runs,
            limits,
            tasks=lambda: [archive.run(), *more()],
            tidy=self._history.erase_old,
        )
        self.sent_bytes = 0  #: that streams have sent; they count it
        self._draining = False
        self._warned = False  #: whether the log has the warning that nobody started it

    def _registry_of(self, store: Store, wake: Wake | None, clock: Callable[[], float]) -> Registry:
        runs = self._runs
        if is_shared(store):
            return SharedRegistry(
                store,
                self.agents,
                self.limits,
                runs.restore_inbox,
                runs.lose,
                observer=self.observer,
                wake=wake,
                clock=clock,
            )
        return Registry(store, self.agents, self.limits, runs.restore_inbox, clock=clock, observer=self.observer)

    def _elsewhere_of(self, registry: Registry) -> Elsewhere | None:
        if not isinstance(registry, SharedRegistry):
            return None
        return Elsewhere(registry, self._runs, self._performer, self._perform, self._end_streams_here, self.limits)

    @property
    def threads(self) -> int:
        """The number of threads in memory."""
        return len(self.registry)

    @property
    def runs(self) -> int:
        """The number of runs that are queued or under way."""
        return len(self._runs)

    @property
    def live_runs(self) -> Sequence[Execution]:
        """The runs that are queued or under way."""
        return list(self._runs)

    @property
    def shared(self) -> bool:
        """Whether other processes may use the store, too."""
        return is_shared(self.registry.store)

    @property
    def stopping(self) -> bool:
        """Whether the hub is stopping and accepts nothing more."""
        return self._runs.stopping

    async def start(self) -> None:
        """Open the store, start the task group of runs, and resume stored work; the first request also does so.

        Raises:
            StoreUnavailable: The store cannot be opened.
        """
        await self._supervisor.start()

    def drain(self) -> None:
        """Say that this process is not ready any more, and have clients that follow threads follow them elsewhere.

        Requests are accepted until `aclose`.
        """
        self._draining = True
        for thread in self.registry:
            thread.log.end_following()

    async def aclose(self, *, grace: float = 0.0) -> None:
        """Stop accepting requests, give runs `grace` seconds to end, interrupt the others, and end all streams.

        Queued batches stay in the store and run after the next start, or in another process that shares the store.
        """
        self._runs.stop()
        await self.registry.hand_over()
        with anyio.move_on_after(grace):
            await self._runs.idle.wait()
            while self.shared and not all(thread.log.is_answered for thread in self.registry):  # noqa: ASYNC110
                await asyncio.sleep(LOOK)  # the runs are elsewhere, and each stream ends by itself
        self._runs.interrupt()
        await self._supervisor.stop()
        for thread in self.registry:
            thread.log.close()
            if self.registry.store.instant and thread.lasting:
                thread.put_away()  # so that another hub may take it up

    @property
    def alive(self) -> bool:
        """Whether it works, or has not begun to; if not, only a new process helps."""
        return self._supervisor.alive

    async def check_ready(self) -> None:
        """Check that the server accepts requests now; it takes less than a second to say.

        Raises:
            RequestError: `server_stopping` or `store_unavailable`.
        """
        self._admission.check_open()
        if self._draining:
            raise ServerStopping()
        await self._readiness.check(self._start)

    async def durability(self) -> Durability | UnsetType | None:
        """Return what a confirmed write survives; UNSET if the store does not say within a second."""
        return await self._readiness.durability()

    def loaded(self, thread_id: str, *, owner: str | None = None) -> Thread | None:
        """Return a thread from memory; None if it is not there."""
        return self.registry.get(Key(owner, thread_id))

    async def find(self, thread_id: str, *, owner: str | None = None) -> Thread:
        """Return a thread by its id.

        Raises:
            RequestError: `unknown_thread`; also for one that belongs to another owner. `store_unavailable`.
        """
        thread = await self.known(thread_id, owner=owner)
        if thread is None:
            raise UnknownThread(thread_id)
        return thread

    async def _start(self) -> None:
        """Start on the first request if no lifespan did; after `aclose`, only `start` starts it again."""
        if not self._runs.stopping and not self._supervisor.ready:
            if not self._supervisor.started and not self._warned:
                self._warned = True
                _log.warning(NO_LIFESPAN)
            try:
                await self.start()
            except StoreUnavailable as error:
                _log.error("%s", error)
                raise

    async def known(self, thread_id: str, *, owner: str | None = None) -> Thread | None:
        """Return a thread by its id; None if the owner has no such thread.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self._start()
        key = Key(owner, thread_id)
        if self._elsewhere is not None:
            return await self._elsewhere.mirrors.find(key)
        return await self.registry.find(key)

    def follow(self, thread: Thread, run: AnyRun | None = None) -> None:
        """See that the readers of a thread get what other processes write, as long as it has any.

        Args:
            thread: The thread.
            run: The run that a new reader waits for: where another process executes it, that process learns of it.
        """
        if self._elsewhere is not None:
            self._elsewhere.mirrors.follow(thread)
            self._elsewhere.owners.follow(thread)
            if run is not None:
                self._elsewhere.following.begin(thread, run)

    async def check_place(self, thread: Thread, cursor: Cursor | None) -> None:
        """Begin a new epoch if a client has seen more of a thread than there is, since the engine has lost its end.

        Raises:
            RequestError: `store_unavailable`.
        """
        if self._elsewhere is None or cursor is None or cursor.epoch != thread.epoch:
            return
        if cursor.revision > thread.log.revision:
            await self._perform(thread.key, Renew(cursor.epoch, cursor.revision))
            await self.known(thread.id, owner=thread.owner)

    async def _perform(self, key: Key, call: Call) -> Reply:
        """Perform a call on a thread: here, or where the thread is held.

        Raises:
            RequestError: Nothing was applied; `lease_lost`: another process has claimed the thread meanwhile, and it is
                not known whether what cannot be done twice was applied.
        """
        while True:
            try:
                return await self._performer.perform(key, call)
            except LeaseLost:
                if isinstance(call, Extend):
                    raise
                await asyncio.sleep(AGAIN)
            except HeldElsewhere as held:
                assert self._elsewhere is not None, "there are other processes"
                reply = await self._elsewhere.ask(held, call)
                if reply is not None:
                    return reply

    async def check_free(self, key: Key) -> None:
        """Check that a request without an owner creates no thread under an id that belongs to an owner.

        Raises:
            RequestError: `unauthorized`; `store_unavailable`.
        """
        await self._start()
        await self._admission.check_free(key)

    async def submit(self, posted: Posted) -> Submission:
        """Accept a batch: all of its commands are valid and stored, and run after what is already queued.

        Raises:
            RequestError: Nothing was applied.
        """
        await self._start()
        if self._elsewhere is not None and posted.run_id is None:
            posted = msgspec.structs.replace(posted, run_id=new_id("run"))
        while True:
            try:
                return await self._admission.submit(posted)
            except HeldElsewhere as held:
                assert self._elsewhere is not None, "there are other processes"
                submission = await self._elsewhere.submit(posted, held)
                if submission is not None:
                    return submission

    async def resume(
        self, thread_id: str, claim: Claim, *, owner: str | None = None, run_id: str | None = None
    ) -> Submission | None:
        """Return where a client that lost a thread's stream continues; None for an unknown thread.

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
        await self.registry.wait_stored(thread.key)  # a client sees only what is stored
        return await resume(thread, claim, run_id)

    async def hand_out(self, thread_id: str, *, owner: str | None = None) -> tuple[str, bytes] | None:
        """Return the resume point of the thread's current state, and that state as JSON.

        None if no run is active, or the run waits for the client; also for an unknown thread.

        Raises:
            RequestError: `store_unavailable`.
        """
        thread = await self.known(thread_id, owner=owner)
        active = None if thread is None else thread.active
        if thread is None or active is None or active.waits_since is not None:
            return None
        revision, state = await self.registry.snapshot(thread)
        return resume_point(thread, active, revision), state

    async def cancel(
        self, thread_id: str, *, owner: str | None = None, run_id: str | None = None, queued: bool = False
    ) -> tuple[str | None, bool]:
        """Cancel a thread's active run, or dismiss what it waits for; return the run's id, and whether there was one.

        Args:
            thread_id: The thread.
            owner: Whose it is.
            run_id: The run that is meant; None: whichever is active.
            queued: Also drop what waits behind it.

        Raises:
            RequestError: `unknown_thread`; `run_mismatch` when another run is active.
        """
        thread = await self.find(thread_id, owner=owner)
        reply = await self._perform(thread.key, Cancel(run_id, queued))
        assert isinstance(reply, Cancelled), "it is what a cancel is answered with"
        return reply.run_id, reply.cancelled

    async def list_runs(self, thread_id: str, *, owner: str | None = None) -> list[RunRecord]:
        """Return a thread's runs, the newest first: those that are queued or under way, and the last that ended.

        Raises:
            RequestError: `unknown_thread`; `thread_damaged`; `store_unavailable`.
        """
        return await self._history.runs(await self.find(thread_id, owner=owner))

    async def retry(
        self,
        thread_id: str,
        run_id: str | None = None,
        *,
        owner: str | None = None,
        user: Any = None,
        trace: Mapping[str, str] | None = None,
    ) -> tuple[str, Submission]:
        """Run the commands of a run again that failed or was stopped; return its id, and what the new run is.

        Of requests to retry one run that come at once, one begins a run, and the others return the same.

        Args:
            thread_id: The thread.
            run_id: The run; None: the last one.
            owner: Whose it is.
            user: Who asks, as the app's `identify` returned them.
            trace: Headers that name the trace of the request.

        Raises:
            RequestError: `unknown_thread`; `unknown_run`; `run_not_retryable`; `run_active`; as for `submit`.
        """
        thread = await self.find(thread_id, owner=owner)
        kept = await self._history.kept(thread, run_id)
        batch, applied = again(kept, thread)
        posted = Posted(
            agent=thread.agent,
            commands=batch.commands,
            thread_id=thread.id,
            owner=owner,
            user=user,
            request=batch.request,
            on_disconnect=batch.on_disconnect,
            policy="reject",
            trace=dict(trace or {}),
            applied=applied,
            says_again=True,
            run_id=retry_of(kept.run.id),
        )
        submission = await self.submit(posted)
        await self.directory.record(thread.key, RecordErased(thread.key, BATCH, kept.run.id))  # it is the new run's now
        return kept.run.id, submission

    async def patch(
        self, thread_id: str, steps: Sequence[dict[str, Json]], *, owner: str | None = None, key: str | None = None
    ) -> Cursor:
        """Apply a client's RFC 6902 patch to the writable parts of a state, and return a cursor not before it.

        Args:
            thread_id: The thread.
            steps: The patch.
            owner: Whose the thread is.
            key: By which it is recognized when it comes again: then it is not applied again.

        Raises:
            RequestError: `unknown_thread`; `command_id_reused` for the key of another patch; `run_active`, because it
                would race the run; `patch_failed`; `not_writable`; `state_too_large` or `patch_too_large`;
                `invalid_patch`, `invalid_state`.
        """
        thread = await self.find(thread_id, owner=owner)
        if key is None and self._elsewhere is not None:
            key = new_id("patch")  # for `_perform`, which repeats it where its outcome is not known
        reply = await self._perform(thread.key, Patch(steps, key))
        assert isinstance(reply, Patched), "it is what a patch is answered with"
        return Cursor(reply.epoch, reply.revision)

    async def rewind(
        self,
        thread_id: str,
        revision: int,
        *,
        owner: str | None = None,
        cancel: bool = False,
        key: str | None = None,
    ) -> Cursor:
        """Change a thread's state back to what it was at a revision, and return the place after that.

        Args:
            thread_id: The thread.
            revision: The revision.
            owner: Whose it is.
            cancel: Whether to stop a run that is under way, and drop what is queued.
            key: By which the request is recognized when it comes again.

        Raises:
            RequestError: `unknown_thread`; `run_active`; `unknown_revision`, `revision_gone`; `store_unavailable`.
        """
        thread = await self.find(thread_id, owner=owner)
        if key is None and self._elsewhere is not None:
            key = new_id("rewind")  # for `_perform`, which repeats it where its outcome is not known
        reply = await self._perform(thread.key, Rewind(revision, cancel, key))
        assert isinstance(reply, Patched), "it is what a rewind is answered with"
        return Cursor(reply.epoch, reply.revision)

    async def write(self, thread_id: str, messages: Sequence[Json], agent: Agent, *, owner: str | None = None) -> None:
        """Set the messages of a thread, unless an agent has run on it: then the state is the agent's.

        Args:
            thread_id: The thread; it is made if there is only its summary.
            messages: All of them, as in a state.
            agent: Whose a new thread is to be.
            owner: Whose it is.

        Raises:
            RequestError: `unknown_thread`; `invalid_state` for messages that no state can hold; `store_unavailable`.
        """
        await self._start()
        await self._perform(Key(owner, thread_id), Write(agent.name, messages))

    async def extend(self, thread: Thread, parent_id: str | None, message: dict[str, Json]) -> bool:
        """Append the message if its parent is the last one, else return False. O(message).

        Where it returns False, `write` rebuilds the list.

        Raises:
            RequestError: `store_unavailable`.
        """
        reply = await self._perform(thread.key, Extend(parent_id, message))
        return isinstance(reply, Done) and reply.done

    async def assign(self, thread: Thread, agent: Agent) -> None:
        """Assign a thread to an agent, unless more has happened on it than messages written into its history.

        Raises:
            RequestError: `agent_mismatch`; `server_stopping` or `store_unavailable`.
        """
        if thread.agent is not agent:
            await self._perform(thread.key, Assign(agent.name))
            await self.known(thread.id, owner=thread.owner)

    def ask(
        self, agent: Agent, key: Key, what: str, pieces: Callable[[InThread], AsyncGenerator[_T, None]]
    ) -> HookCalls[_T]:
        """Call a hook of an agent for a thread, with the limits of a run.

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
        """Delete a thread and everything stored of it; cancel its run and end its streams.

        Raises:
            RequestError: `unknown_thread`; `store_unavailable`.
        """
        await self._start()
        await self._perform(Key(owner, thread_id), Delete())

    async def move(self, owner: str | None, to: str | None) -> int:
        """Move all threads of an owner to another, and return their number; ids that the other has already stay.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self._start()
        moved = 0
        async for key in self._deletion.of(owner):
            reply = await self._perform(key, Move(to))
            moved += isinstance(reply, Done) and reply.done
        return moved

    def end_streams(self, owner: str) -> None:
        """End the streams of all threads of an owner, so that clients reconnect and are identified again.

        Other processes do so, too, if the owner's mark is another by now, see `watch_owners`.
        """
        self._end_streams_here(owner)
        if self._elsewhere is not None:
            self._elsewhere.owners.changed(owner)

    def _end_streams_here(self, owner: str) -> None:
        for thread in self.registry:
            if thread.owner == owner:
                thread.log.end_streams()

    def watch_owners(self, read_mark: ReadMark) -> None:
        """End an owner's streams whenever another process has changed the mark that `read_mark` reads in the store."""
        if self._elsewhere is not None:
            self._elsewhere.owners.read_mark = read_mark

    def disconnected(self, accepted: Submission) -> None:
        """Handle a stream that was lost before its run ended."""
        run, thread = accepted.run, accepted.thread
        if run is None or thread.followers_of(run.id):
            return
        here = self._runs.get(run.id)
        if here is not None:
            self._runs.abandon(thread, here)
        elif self._elsewhere is not None:
            self._elsewhere.following.end(thread, run)
