"""Execution: one run, from the inbox to its end. It outlives the connection that asked for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import cache, partial
from typing import Any, Final, Literal

import msgspec

from statecast.protocol import RunError, RunState, Status
from statecast.threads.limits import Limits
from statecast.threads.log.logged_state import LoggedState
from statecast.threads.observer import ObservedRun
from statecast_agents import Json, Run, ToolCall, new_id
from statecast_agents.answering import as_answers, takes_answers
from statecast_agents.commands import AnyCommand
from statecast_agents.memory_versions import Record

from .answered import Place, answered_since, place_of
from .batch import Batch
from .capacity import Capacity
from .clock import RunClock
from .deliveries import Deliveries, Delivery, apply_built_in
from .emitter import Emitter
from .exit_guard import within_agent
from .failures import explain, raised_one
from .followed import FollowedElsewhere
from .lifecycle import advance
from .open_calls import cut_off, dismiss, open_calls
from .tasks import Tasks
from .tries import count_try
from .workers import IN_THREAD, WorkerCalls, Workers

__all__ = ["INTERRUPTED", "Execution"]

_log: Final = logging.getLogger("statecast")

INTERRUPTED: Final = RunError("run_interrupted", "The server stopped before the run had ended.")


class Stop(msgspec.Struct, frozen=True):
    """How a run is to end before its agent has done its work."""

    status: Literal["queued", "cancelled", "interrupted"]  #: `queued`: it is left to the next server, and not recorded
    error: RunError | None = None  #: why, where its stream should say so
    roll_back: bool = False  #: whether the state is put back to what the run found


class Execution:
    """One run on a thread.

    Args:
        thread: The thread's state, and its log.
        batch: What it is given.
        agrees: Whether the client had seen the state as it was when the batch was accepted.
        limits: How long it may take.
        workers: Where its plain functions run.
        room: Told when it waits for its user.
        debug: Whether errors of the agent's code are shown to the client, traceback and all.
        clock: A monotonic clock, in seconds.
        id: Its id, if it has one already.
        context: The context variables of its request; None: it has none.
    """

    __slots__ = (
        "_agrees_at",
        "_before",
        "_begun",
        "_calls",
        "_clock",
        "_debug",
        "_deliveries",
        "_dying",
        "_emitter",
        "_ended",
        "_failure",
        "_left",
        "_limits",
        "_open",
        "_room",
        "_run",
        "_stop",
        "_tasks",
        "_written",
        "batch",
        "begun",
        "context",
        "followed",
        "id",
        "now",
        "observed",
        "place",
        "start",
        "state",
        "thread",
        "waits_since",
    )

    def __init__(
        self,
        thread: LoggedState,
        batch: Batch,
        *,
        agrees: bool,
        limits: Limits,
        workers: Workers,
        room: Capacity,
        debug: bool,
        clock: Callable[[], float],
        id: str | None = None,
        context: Context | None = None,
    ) -> None:
        self.id = id or new_id("run")
        self.thread = thread
        self.batch = batch
        self.context = context or Context()
        self.state = RunState(self.id, "queued")
        self.start = thread.log.revision  #: the revision it began at
        self.followed = FollowedElsewhere()
        self.waits_since: int | None = None  #: the revision at which it began to wait for the user
        self._agrees_at = thread.log.revision if agrees else None
        self._limits = limits
        self._room = room
        self._debug = debug
        self._calls = WorkerCalls(workers)
        self._clock = RunClock(limits, clock)
        self.now = clock  #: the time on which what is observed counts
        self._deliveries = Deliveries(thread, self.context)
        self.begun = False  #: whether its first entries are there
        self._run: Run | None = None  #: from its beginning to its end
        #: the state and the memory it found, where it may be rolled back
        self._before: tuple[Json, Sequence[Record]] | None = None
        self._tasks: Tasks | None = None
        self._emitter: Emitter | None = None
        self._stop: Stop | None = None  #: how it was asked to end
        self._failure: RunError | None = None
        self._open: Sequence[ToolCall] = ()  #: the calls that were open when it began
        self.place = Place(0)  #: how far the thread was then
        self._written = (0, 0)  #: batches of operations that the thread had then, and bytes of them
        self.observed = ObservedRun(
            id=self.id,
            thread_id=thread.id,
            agent=thread.agent.name,
            state=self.state,
            trace=batch.trace,
            context=self.context,
            tries=batch.tries,
            commands=batch.commands_json,
            accepted=clock(),
        )

    @property
    def asks(self) -> bool:
        """Whether the client must act for the run, which may continue meanwhile."""
        return self._run is not None and self._stop is None and self._run.waiting.asks

    @property
    def held(self) -> bool:
        """Whether it stays queued until the thread's questions are answered: it says something else."""
        return self.thread.asks and not self.batch.next_up and self.batch.says_instead

    def execute(
        self,
        *,
        begun: Callable[[Execution], None],
        ended: Callable[[Execution], None],
        left: Callable[[Execution], None],
        dying: Callable[[], bool],
    ) -> None:
        """Run to the end, starting one turn of the event loop later. Never raises.

        Args:
            begun: Called when its first entries are there.
            ended: Called when it has ended.
            left: Called when it has ended without a record of it, see `leave` and `lose`.
            dying: Whether the server ends its tasks.
        """
        self._begun, self._ended, self._left, self._dying = begun, ended, left, dying
        self._tasks = Tasks(self._end, patience=self.thread.agent.cancel_seconds)
        self._tasks.start_soon(self._work, context=self.context)

    def cancel_queued(self) -> None:
        """Record that the run was cancelled while it was queued, and never begins."""
        self._turn("cancelled")

    def _begin(self) -> None:
        """Start the run and apply its built-in commands at once, so that the first frame shows them."""
        thread = self.thread
        agrees = self._agrees_at == thread.log.revision
        if "rollback" in (thread.agent.policy, thread.agent.waiting_policy):
            thread.flush()
            self._before = thread.document.plain(), thread.memory.records
        self.start = thread.log.revision
        self._written = thread.written, thread.written_bytes
        thread.log.discard_parts()
        self._emitter = Emitter(self.id, thread)
        if thread.has_memory:
            thread.answers.begin(self.id)
        self._run = Run(
            id=self.id,
            thread_id=thread.id,
            document=thread.document,
            commands=self.batch.commands,
            request=self.batch.request,
            user=self.batch.user,
            messages=thread.agent.messages,
            pending=thread.agent.pending,
            memory=lambda: self.thread.memory,
            emit=self._emitter.emit,
            flush=thread.flush_from_anywhere,
            waits=self._waits,
            known=thread.agent.commands,
            taken=self._deliveries.mark_received,
            in_thread=self._in_thread,
            left_out=thread.agent.left_out,
            view=thread.agent.view,
        )
        self.begun = True
        self.observed.begun = self.now()
        self._turn("running")
        self._apply(self._run, agrees=agrees)
        self._open = open_calls(self._run)
        self.place = place_of(thread)
        thread.loop.call_soon(self._await_answer)  # by then, the entries that it begins with are there

    def _apply(self, run: Run, *, agrees: bool) -> None:
        """Apply the built-in commands, and give the agent those of them that answer questions as `Answer`s."""
        applied, posted = self.batch.applied, self.batch.commands
        try:
            run.commands = as_answers(posted, run.shown_messages, answered=applied)
            if not applied:
                apply_built_in(run, posted, agrees=agrees, begins=True)
        except Exception as failure:  # it is this run that fails, not whoever begins it
            self._failure = self._explain(failure)

    async def _work(self) -> None:
        """Start and run the agent; a plain function stays queued until a worker thread is free."""
        within_agent.set(True)
        try:
            if self.batch.tries:
                self._failure = await count_try(self.thread, self.id, self.batch) or self._failure
            if self.thread.agent.needs_thread(self.batch.commands):
                await self._calls.reserve()
        finally:
            if not self._is_left:
                self._begin()
                self._begun(self)
        run = self._run
        if run is not None and self._failure is None:
            self._clock.work()
            run.tasks = self._tasks
            await self.thread.agent.perform(run)

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function of the agent in a worker thread; the run is queued until one is free."""
        if not self._calls.acquire_nowait():
            await self._wait_for_worker()
        return await self._calls.call(function, *args)

    async def _wait_for_worker(self) -> None:
        tasks = self._tasks
        if self.state.status == "running":
            self._turn("queued")
        acquired = False
        try:
            await self._calls.acquire()
            acquired = True
        finally:
            is_ending = tasks is None or tasks.cancelled
            if self.state.status == "queued" and (acquired or not is_ending):
                self._turn("running")

    @property
    def _is_left(self) -> bool:
        return self._stop is not None and self._stop.status == "queued"

    def leave(self) -> None:
        """Do not start: the batch stays stored for another server."""
        self._stop = Stop("queued")
        self._cancel_tasks()

    def lose(self, nowhere: LoggedState) -> None:
        """Stop, and record nothing more: another process has claimed the thread.

        Args:
            nowhere: What the agent changes instead until it has stopped.
        """
        if self.state.status == "waiting":
            self._room.wait(nowhere.owner, False)
        self.thread = nowhere
        self._deliveries.move(nowhere)
        if self._emitter is not None:
            self._emitter.move(nowhere)
        self._stop = Stop("queued")
        if self._run is not None:
            self._run.cancelled = True
        self._cancel_tasks(hurry=True)

    def _end(self) -> None:
        """Record how the run ended. From here on, the agent can change nothing."""
        run = self._run
        self._calls.cancel_reservation()
        if self._is_left:
            if run is not None:
                run.tasks = None
                run.waiting.end()
            self._run = self._tasks = None
            self._left(self)
            return
        try:
            status, error = self._outcome()
            asks = status == "completed" and run is not None and len(run.questions) > 0
            if run is not None:
                run.tasks = None
                run.waiting.end()
            if run is not None and not self.thread.gone:
                self._clean_up(run, over=status == "completed" and not asks)
            self._turn("waiting" if asks else status, error, asks=asks)
        finally:
            self._ended(self)
            self._run = self._tasks = None  # they refer to this run: nothing of it is left to the garbage collector

    def _await_answer(self) -> None:
        if self.observed.ended is None:
            self.thread.on_entry = self._observe_answer

    def _observe_answer(self) -> None:
        self.thread.on_entry = None
        self.observed.answered = self.now()

    def observe_end(self) -> ObservedRun:
        """Return what observers learn of the run, which has ended."""
        self.thread.on_entry = None
        self.observed.ended, self.observed.state = self.now(), self.state
        return self.observe()

    def observe(self) -> ObservedRun:
        """Return what is known of the run by now."""
        observed, thread = self.observed, self.thread
        if self.begun:
            written, written_bytes = self._written
            observed.entries = thread.log.revision - self.start
            observed.operations, observed.bytes = thread.written - written, thread.written_bytes - written_bytes
            observed.answer = cache(partial(answered_since, thread, self.place, self.id))
        return observed

    def _clean_up(self, run: Run, *, over: bool) -> None:
        """Clean up the thread after the run, and fence the run off; `over`: it did its work, and asks nothing."""
        try:
            run.close_parts()
            if self._emitter is not None:
                self._emitter.flush()
            if self._stop is not None and self._stop.error is None:
                run.given.add(run.questions.dismiss(run.shown_messages))
                cut_off(run, self._open)
            takes = over and self.thread.has_memory and takes_answers(run.commands)
            if takes and not self._deliveries.waiting and not open_calls(run):
                run.given.take(run.id)
            if self._stop is not None and self._stop.roll_back and self._before is not None:
                self.thread.put_back(*self._before)
        except Exception:  # the state is the agent's, and may be anything; the run has ended all the same
            _log.exception("run %s on thread %s could not be tidied up", self.id, self.thread.id)
        finally:
            self.thread.fence(self.id)

    def commands(self) -> bytes:
        """Return its batch's commands as JSON."""
        return self.batch.commands_json()

    def wanted(self, commands: Sequence[AnyCommand]) -> list[AnyCommand]:
        """Return the commands of a batch that the run listens for; none once it is stopping."""
        run = self._run
        if run is None or run.tasks is None or self._stop is not None or self._failure is not None:
            return []
        return self._deliveries.wanted(run, commands)

    def deliver(self, delivery: Delivery, *, agrees: bool) -> None:
        """Deliver a command to this run, applied to the messages if it is built in.

        Args:
            delivery: The command, and what it becomes if this run ends before it takes it.
            agrees: Whether the client had seen the state as it is.

        Raises:
            MessageConflict: It does not fit the messages.
        """
        assert self._run is not None, "a run that wants something has begun"
        self._deliveries.deliver(self._run, delivery, agrees=agrees)
        if self.waits_since is not None:  # it waits for something else as well
            self.thread.flush()
            self.waits_since = self.thread.log.revision

    def undelivered(self) -> list[Delivery]:
        """Return the delivered commands that the agent never received, now that the run has ended."""
        return self._deliveries.undelivered(rolled_back=self._stop is not None and self._stop.roll_back)

    def cancel(
        self,
        status: Literal["cancelled", "interrupted"] = "cancelled",
        error: RunError | None = None,
        *,
        roll_back: bool = False,
        hurry: bool = False,
    ) -> None:
        """Ask the run to stop; after its grace, cancel its handler.

        Args:
            status: What it then is.
            error: Why, where its stream should say so.
            roll_back: Whether the state is put back to what the run found.
            hurry: Whether functions in worker threads, which do not notice it, are soon left behind.
        """
        if self._stop is not None:  # the first word counts, though a rollback may come later
            self._stop = msgspec.structs.replace(self._stop, roll_back=self._stop.roll_back or roll_back)
            if hurry:
                self._cancel_tasks(hurry)
            return
        self._stop = Stop(status, error, roll_back)
        waits, self.waits_since = self.waits_since is not None, None  # it goes on, to its end
        if self._run is not None:
            self._run.cancelled = True
            if waits and error is None:
                dismiss(self._run)
        self.thread.loop.call_later(self.thread.agent.cancel_grace, self._cancel_tasks, hurry)

    def check_time(self, now: float) -> None:
        """Fail the run if its time is over. Checking all runs once a second costs less than a timer each."""
        if self._clock.is_over(now):
            if self.waits_since is not None:
                seconds = self._limits.waiting_seconds
                self.fail(RunError("wait_timeout", f"Nobody answered within {seconds:g} seconds."))
            else:
                seconds = self._limits.run_seconds
                self.fail(RunError("run_timeout", f"The run was stopped after {seconds:g} seconds."))

    def fail(self, error: RunError) -> None:
        """Stop the run as failed."""
        if self._failure is None:
            self._failure = error
            self._cancel_tasks(hurry=True)

    def _cancel_tasks(self, hurry: bool = False) -> None:
        if self._tasks is not None:
            self._tasks.cancel()
            if hurry and self._calls.busy:
                self._tasks.insist(min(IN_THREAD, self._tasks.patience))

    def _outcome(self) -> tuple[Status, RunError | None]:
        assert self._tasks is not None, "it has begun"
        failures = list(self._tasks.failures)
        self._tasks.failures.clear()  # their tracebacks hold all that the agent held
        if self._tasks.abandoned:
            _log.error("run %s on thread %s ends without its handler, which ignores the stop", self.id, self.thread.id)
        if self._failure is not None:
            return "failed", self._failure
        if self._stop is not None:
            return self._stop.status, self._stop.error
        if not failures:
            return "completed", None
        if self._dying() and all(isinstance(failure, asyncio.CancelledError) for failure in failures):
            return "interrupted", INTERRUPTED
        return "failed", self._explain(raised_one(failures))

    def _waits(self, waits: bool) -> None:
        """Follow the run, which begins to wait for its client, or continues; waiting time has its own limit."""
        if not self.thread.here:
            self.thread.loop.call_soon_threadsafe(self._follow_waiting)
        elif waits:
            self.thread.loop.call_soon(self._follow_waiting)  # what was started this turn may have work to do
        else:
            self._follow_waiting()

    def _follow_waiting(self) -> None:
        run = self._run
        if run is None:
            return  # it has ended meanwhile
        waits = run.waiting.waits
        if waits and run.tasks is not None and self.state.status == "running":
            self._clock.wait()
            self._turn("waiting")
            self.waits_since = self.thread.log.revision if self._stop is None else None
            self.thread.log.wake()
        elif not waits and self.state.status == "waiting":
            self._clock.work()
            self._turn("running")

    def _explain(self, failure: BaseException) -> RunError:
        self.observed.failure = failure
        return explain(failure, f"run {self.id} on thread {self.thread.id}", debug=self._debug)

    def _turn(self, status: Status, error: RunError | None = None, *, asks: bool = False) -> None:
        """Take the status that follows, and record it; `asks`: it has ended, so that nothing waits but the thread."""
        if self._is_left:
            return
        waited, self.state = self.state.status == "waiting", advance(self.state, status, error, asks=asks)
        if waited != (status == "waiting" and not asks):
            self._room.wait(self.thread.owner, not waited)
        self.waits_since = None
        self.thread.record(self.state)
