"""Execution: one run, from the inbox to its end. It outlives the connection that asked for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Final, Literal

import msgspec

from statecast.protocol import RunError, RunState, Status
from statecast.stores import Amended, BatchAccepted, BatchSettled, StoreUnavailable
from statecast_agents import (
    Document,
    Run,
    RunEnded,
    ToolCall,
    new_id,
    operations,
)
from statecast_agents.chunks import Chunk
from statecast_agents.commands import AnyCommand
from statecast_agents.message_commands import apply_commands

from .batch import Batch
from .capacity import Capacity
from .exit_guard import within_agent
from .failures import explain, raised_one
from .limits import Limits
from .open_calls import cut_off, dismiss, open_calls
from .tasks import Tasks
from .thread import Thread
from .workers import Workers

__all__ = ["INTERRUPTED", "Execution"]

_log: Final = logging.getLogger("statecast")

#: Seconds that a function in a worker thread gets to return, when its run's time is over, or the server stops.
IN_THREAD: Final = 1.0

#: How often a batch may begin that the process never lives to see the end of.
TRIES: Final = 3

GIVEN_UP: Final = RunError("too_many_tries", f"The server ended {TRIES} times while the run was under way.")

INTERRUPTED: Final = RunError("run_interrupted", "The server stopped before the run had ended.")


class Execution:
    """One run on a thread.

    Args:
        thread: The thread.
        batch: What it is given.
        agrees: Whether the client had seen the state as it was when the batch was accepted.
        limits: How long it may take.
        workers: Where its plain functions run.
        room: Told when it waits for its user.
        debug: Whether errors of the agent's code are shown to the client, traceback and all.
        id: Its id, if it has one already.
        context: The context variables of its request; None: it has none.
    """

    __slots__ = (
        "_agrees_at",
        "_before",
        "_began",
        "_begun",
        "_deadline",
        "_debug",
        "_delivered",
        "_dying",
        "_emitted",
        "_ended",
        "_failure",
        "_has_place",
        "_in_threads",
        "_leaves",
        "_left",
        "_limits",
        "_open",
        "_reason",
        "_rolls_back",
        "_room",
        "_run",
        "_stopped",
        "_tasks",
        "_workers",
        "again",
        "batch",
        "begun",
        "context",
        "id",
        "kept",
        "revived",
        "settled",
        "start",
        "state",
        "thread",
        "waits_since",
    )

    def __init__(
        self,
        thread: Thread,
        batch: Batch,
        *,
        agrees: bool,
        limits: Limits,
        workers: Workers,
        room: Capacity,
        debug: bool,
        id: str | None = None,
        context: Context | None = None,
    ) -> None:
        self.id = id or new_id("run")
        self.thread = thread
        self.batch = batch
        self.context = context or Context()
        self.state = RunState(self.id, "queued")
        self.kept = True  #: whether the store has it, so that it may begin
        self.settled = False  #: whether it has left the store's inbox
        self.begun = False  #: whether its first entries are there
        self.revived = False  #: whether an earlier process accepted it
        self.again = False  #: whether a crash cut it off, after its commands were applied to the messages
        self.start = thread.log.revision  #: the revision it began at
        self.waits_since: int | None = None  #: the revision at which it began to wait for the user
        self._agrees_at = thread.log.revision if agrees else None
        self._limits = limits
        self._workers = workers
        self._room = room
        self._has_place = False  #: among the workers, for its next plain function
        self._in_threads = 0  #: functions of its that are in worker threads
        self._delivered: dict[int, Execution] = {}  #: by the identity of a command that the agent has not taken yet
        self._leaves = False  #: whether it is not to begin, because the server stops
        self._debug = debug
        self._run: Run | None = None
        self._before: bytes | None = None  #: the state it found, where it may be rolled back
        self._rolls_back = False
        self._left = limits.run_seconds  #: seconds it may still take
        self._began = 0.0  #: when it last began, or went on
        self._deadline = math.inf
        self._tasks: Tasks | None = None
        self._emitted: deque[Chunk] = deque()  #: by worker threads, and yet to reach the log
        self._stopped: Status | None = None
        self._reason: RunError | None = None
        self._failure: RunError | None = None
        self._open: Sequence[ToolCall] = ()  #: the calls that were open when it began

    @property
    def asks(self) -> bool:
        """Whether something in it is for its client to do, though it may go on meanwhile."""
        return self._run is not None and self._stopped is None and self._run.waiting.asks

    def execute(
        self,
        *,
        begun: Callable[[Execution], None],
        ended: Callable[[Execution], None],
        dying: Callable[[], bool],
    ) -> None:
        """Begin a turn later, and run to the end, which raises nothing.

        Args:
            begun: Called when its first entries are there.
            ended: Called when it has ended.
            dying: Whether the server ends its tasks.
        """
        self._begun, self._ended, self._dying = begun, ended, dying
        self._tasks = Tasks(self._end, patience=self.thread.agent.cancel_seconds)
        self._tasks.start_soon(self._work, context=self.context)

    def _begin(self) -> None:
        """Begin: the built-in commands are applied at once, so that the first frame of a stream shows them."""
        thread = self.thread
        agrees = self._agrees_at == thread.log.revision
        if "rollback" in (thread.agent.policy, thread.agent.waiting_policy):
            _, self._before = thread.snapshot()
        self.start = thread.log.revision
        thread.begin_message()
        self.begun = True
        self._record("running")
        self._run = Run(
            id=self.id,
            thread_id=thread.id,
            document=thread.document,
            commands=self.batch.commands,
            request=self.batch.request,
            user=self.batch.user,
            messages=thread.agent.messages,
            emit=partial(self._emit, thread.document),
            flush=thread.flush_from_anywhere,
            waits=self._waits,
            known=thread.agent.commands,
            taken=self._taken,
            in_thread=self._in_thread,
        )
        if not (self.again or self.batch.applied):
            self._apply(agrees=agrees)
        self._open = open_calls(self._run)

    def _apply(self, *, agrees: bool) -> None:
        assert self._run is not None, "it begins"
        try:
            apply_messages(self._run, self.batch.commands, agrees=agrees)
        except Exception as failure:  # it is this run that fails, not whoever begins it
            self._failure = self._explain(failure)

    async def _work(self) -> None:
        """Begin, and run the agent. It stays queued until there is a thread for it, if it needs one at once."""
        within_agent.set(True)
        try:
            if self.revived:
                await self._count_try()
            if self.thread.agent.needs_thread(self.batch.commands):
                await self._workers.taken()
                self._has_place = True
        finally:
            if not self._leaves:
                self._begin()
                self._begun(self)
        run = self._run
        if run is not None and self._failure is None:
            self._began = time.monotonic()
            self._deadline = self._began + self._left
            run.tasks = self._tasks
            await self.thread.agent.perform(run)

    async def _count_try(self) -> None:
        """Note that it begins once more, before it can end the process once more; or give it up."""
        tried = max(self.batch.tries, int(self.again))
        if tried >= TRIES:
            self._failure = GIVEN_UP
            _log.error(
                "run %s on thread %s is given up: the server ended %d times during it", self.id, self.thread.id, tried
            )
            return
        self.batch = msgspec.structs.replace(self.batch, tries=tried + 1)
        self.thread.journal.add(Amended(self.thread.key, self.id, self.batch.encode()))
        with contextlib.suppress(StoreUnavailable):  # then nothing of it is kept either
            await self.thread.journal.settled()

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function of the agent's in a worker thread; until there is one, the run is queued."""
        if not self._has_place and not self._workers.take():
            self._record("queued")
            await self._workers.taken()
            self._record("running")
        self._has_place = False
        self._in_threads += 1
        try:
            return await self._workers.call(function, *args)
        finally:
            self._in_threads -= 1

    def leave(self) -> None:
        """Begin no more: the store has the batch, and another server takes it up."""
        self._leaves = True
        self._stop()

    def _end(self) -> None:
        """Record how the run has ended. Whatever its agent does from here on is not the thread's."""
        run = self._run
        if self._has_place:
            self._workers.give_back()
        if self._leaves:
            return
        try:
            status, error = self._outcome()
            if run is not None:
                run.tasks = None
                run.waiting.end()
            self.waits_since = None
            if run is not None and not self.thread.gone:
                self._tidy(run)
            self._record(status, error)
        finally:
            self._ended(self)

    def _tidy(self, run: Run) -> None:
        """Leave the thread as a run that has ended leaves it, and shut it to this one."""
        try:
            run.parts.close()
            self._send_emitted()
            if self._stopped is not None and self._reason is None:
                cut_off(run, self._open)
            if self._rolls_back:
                self._roll_back()
        except Exception:  # the state is the agent's, and may be anything; the run has ended all the same
            _log.exception("run %s on thread %s could not be tidied up", self.id, self.thread.id)
        finally:
            self.thread.fence(self.id)

    def commands(self) -> bytes:
        """Return its batch's commands as JSON."""
        return self.batch.commands_json()

    def wanted(self, commands: Sequence[AnyCommand]) -> list[AnyCommand]:
        """Return which commands of a batch the run listens for; none once it is being stopped."""
        if self._run is None or self._run.tasks is None or self._stopped is not None or self._failure is not None:
            return []
        try:
            return self.context.copy().run(self._run.waiting.wanted, commands)
        except BaseException:  # the agent's own `where` met what it did not expect, which is not the client's failure
            _log.exception("run %s on thread %s cannot tell what it waits for", self.id, self.thread.id)
            return []

    def deliver(self, run: Execution, *, agrees: bool) -> None:
        """Hand this run a command that it wants, applied to the messages if it is a built-in one.

        Args:
            run: What the command becomes if this one ends before it takes it.
            agrees: Whether the client had seen the state as it is.

        Raises:
            MessageConflict: It does not fit the messages.
        """
        assert self._run is not None, "a run that wants something has begun"
        (command,) = run.batch.commands
        apply_messages(self._run, [command], agrees=agrees)
        run.batch = msgspec.structs.replace(run.batch, applied=True)
        self._delivered[id(command)] = run
        self.thread.journal.add(BatchAccepted(self.thread.key, run.id, run.batch.encode()))
        self._offer(command)
        if self.waits_since is not None:  # it waits for something else as well
            self.thread.flush()
            self.waits_since = self.thread.log.revision

    def _offer(self, command: AnyCommand) -> None:
        assert self._run is not None, "it has begun"
        try:
            self.context.copy().run(self._run.waiting.deliver, command)
        except BaseException:  # the agent's own `where` again; the command is handled when the run has ended
            _log.exception("run %s on thread %s cannot tell what it waits for", self.id, self.thread.id)

    def _taken(self, command: AnyCommand) -> None:
        if not self.thread.here:
            self.thread.loop.call_soon_threadsafe(self._taken, command)
            return
        run = self._delivered.pop(id(command), None)
        if run is not None:
            self.thread.journal.add(BatchSettled(self.thread.key, run.id))

    def untaken(self) -> list[Execution]:
        """Return what becomes of the commands that were delivered and never taken, now that it has ended."""
        runs = list(self._delivered.values())
        self._delivered.clear()
        if self._rolls_back:  # so are they
            for run in runs:
                run.batch = msgspec.structs.replace(run.batch, applied=False)
        return runs

    def cancel(
        self,
        status: Literal["cancelled", "interrupted"] = "cancelled",
        error: RunError | None = None,
        *,
        roll_back: bool = False,
        hurry: bool = False,
    ) -> None:
        """Ask the run to stop: the agent is told, and after its grace its handler is cancelled.

        Args:
            status: What it then is.
            error: Why, where its stream should say so.
            roll_back: Whether the state is put back to what the run found.
            hurry: Whether functions in worker threads, which do not notice it, are soon left behind.
        """
        self._rolls_back = self._rolls_back or roll_back
        if self._stopped is None:
            self._stopped = status
            self._reason = error
            waits, self.waits_since = self.waits_since is not None, None  # it goes on, to its end
            if self._run is not None:
                self._run.cancelled = True
                if waits and error is None:
                    dismiss(self._run)
            self.thread.loop.call_later(self.thread.agent.cancel_grace, self._stop, hurry)
        elif hurry:
            self._stop(hurry)

    def check_time(self, now: float) -> None:
        """Fail the run if its time is over. One look at all runs a second costs less than a timer for each."""
        if now > self._deadline:
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
            self._stop(hurry=True)

    def _stop(self, hurry: bool = False) -> None:
        if self._tasks is not None:
            self._tasks.cancel()
            if hurry and self._in_threads:
                self._tasks.insist(min(IN_THREAD, self._tasks.patience))

    def _emit(self, document: Document, chunk: Chunk) -> None:
        """Take a chunk, from any thread; like a mutation of the state, it is refused once the run has ended."""
        with document.lock:
            if document.ended:  # while this waited for the lock
                raise RunEnded(self.id)
            self._emitted.append(chunk)
            if self.thread.here:
                self._send_emitted()
            else:
                self.thread.loop.call_soon_threadsafe(self._send_emitted)

    def _send_emitted(self) -> None:
        while self._emitted:
            self.thread.emit(self.id, self._emitted.popleft())

    def _outcome(self) -> tuple[Status, RunError | None]:
        assert self._tasks is not None, "it has begun"
        failures = list(self._tasks.failures)
        self._tasks.failures.clear()  # their tracebacks hold all that the agent held
        if self._tasks.left:
            _log.error("run %s on thread %s does not stop, and is left behind", self.id, self.thread.id)
        if self._failure is not None:
            return "failed", self._failure
        if self._stopped is not None:
            return self._stopped, self._reason
        if not failures:
            return "completed", None
        if self._dying() and all(isinstance(failure, asyncio.CancelledError) for failure in failures):
            return "interrupted", INTERRUPTED
        return "failed", self._explain(raised_one(failures))

    def _waits(self, waits: bool) -> None:
        """Note that the run begins to wait for its client, or goes on. The time it waits is counted apart."""
        if waits:
            self.thread.loop.call_soon(self._begin_to_wait)  # what was started this turn may have work to do
        elif self.state.status == "waiting":
            self._began = time.monotonic()
            self._deadline = self._began + self._left
            self.waits_since = None
            self._record("running")

    def _begin_to_wait(self) -> None:
        assert self._run is not None, "it has begun"
        if self._run.waiting.waits and self._run.tasks is not None and self.state.status == "running":
            now = time.monotonic()
            self._left -= now - self._began
            self._deadline = now + self._limits.waiting_seconds
            self._record("waiting")
            self.waits_since = self.thread.log.revision if self._stopped is None else None
            self.thread.wake_readers()

    def _roll_back(self) -> None:
        thread = self.thread
        if self._before is not None:
            before = msgspec.json.decode(self._before)
            for operation in operations.diff(thread.document.root, before):
                thread.document.apply(operation)

    def _explain(self, failure: BaseException) -> RunError:
        return explain(failure, f"run {self.id} on thread {self.thread.id}", debug=self._debug)

    def _record(self, status: Status, error: RunError | None = None) -> None:
        waits = status == "waiting"
        if waits != (self.state.status == "waiting"):
            self._room.wait(self.thread.owner, waits)
        self.state = RunState(self.id, status, error)
        self.thread.record(self.state)


def apply_messages(run: Run, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
    """Apply the built-in ones of some commands to the messages in the state, all or none.

    Raises:
        MessageConflict: One does not fit.
    """
    if run.keeps_messages:
        apply_commands(run.messages, commands, agrees=agrees)
        run.flush()
