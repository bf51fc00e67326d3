"""Execution: one run, from the inbox to its end. It outlives the connection that asked for it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Final, Literal

import anyio

from statecast.protocol import RunError, RunState, Status
from statecast_agents import AddMessage, AddToolResult, AgentError, Request, Run, StatecastError, new_id
from statecast_agents.commands import AnyCommand

from .limits import Limits
from .thread import Thread

__all__ = ["Execution", "OnDisconnect"]

OnDisconnect = Literal["continue", "cancel"]

_log: Final = logging.getLogger("statecast")

_INTERRUPTED: Final = RunError("run_interrupted", "The server stopped before the run had ended.")


class Execution:
    """One run on a thread.

    Args:
        thread: The thread.
        commands: The batch.
        request: What else the request carried.
        agrees: Whether the client had seen the state as it was when the batch was accepted.
        on_disconnect: What happens to the run when the last stream that waits for it is gone.
        limits: How long it may take.
        debug: Whether errors of the agent's code are shown to the client, traceback and all.
    """

    def __init__(
        self,
        thread: Thread,
        commands: Sequence[AnyCommand],
        request: Request,
        *,
        agrees: bool,
        on_disconnect: OnDisconnect,
        limits: Limits,
        debug: bool,
    ) -> None:
        self.id = new_id("run")
        self.thread = thread
        self.commands = list(commands)
        self.on_disconnect = on_disconnect
        self.state = RunState(self.id, "queued")
        self.start = thread.log.revision  #: the revision it began at
        self._agrees_at = thread.log.revision if agrees else None
        self._request = request
        self._limits = limits
        self._debug = debug
        self._run: Run | None = None
        self._scope = anyio.CancelScope()
        self._stopped: Status | None = None
        self._failure: RunError | None = None

    def begin(self) -> None:
        """Begin: the built-in commands are applied at once, so that the first frame of a stream shows them."""
        thread = self.thread
        agrees = self._agrees_at == thread.log.revision
        self.start = thread.log.revision
        thread.begin_message()
        self._record("running")
        self._run = Run(
            id=self.id,
            thread_id=thread.id,
            document=thread.document,
            commands=self.commands,
            request=self._request,
            messages=thread.agent.messages,
            emit=lambda chunk: thread.emit(self.id, chunk),
            flush=thread.flush_from_anywhere,
        )
        try:
            apply_messages(self._run, agrees=agrees)
        except StatecastError as error:
            self._failure = RunError(str(error.code), str(error))
        except Exception as failure:  # a state of an unforeseen shape fails this run, and no other
            self._failure = self._explain(failure)

    async def execute(self) -> None:
        """Run the agent, and record how it ended. Raises nothing but the server's own cancellation."""
        run = self._run
        assert run is not None, "begin() comes first"
        status: Status = "interrupted"
        error: RunError | None = _INTERRUPTED
        try:
            if self._failure is None:
                self._scope.deadline = anyio.current_time() + self._limits.run_seconds
                with self._scope:
                    async with anyio.create_task_group() as tasks:
                        run.tasks = tasks
                        await self.thread.agent.perform(run)
            status, error = self._outcome()
        except Exception as failure:  # whatever an agent raises is a failed run, never a failed server
            explained = self._explain(failure)
            # What an agent raises because it was stopped is not why it ended.
            stopped = self._stopped is not None or self._failure is not None or self._scope.cancel_called
            status, error = self._outcome() if stopped else ("failed", explained)
        finally:
            run.tasks = None
            run.parts.close()
            self._record(status, error)

    def cancel(self, status: Literal["cancelled", "interrupted"] = "cancelled") -> None:
        """Ask the run to stop: the agent is told, and after its grace its handler is cancelled."""
        if self._stopped is None:
            self._stopped = status
            if self._run is not None:
                self._run.cancelled = True
            self.thread.loop.call_later(self.thread.agent.cancel_grace, self._scope.cancel)

    def fail(self, error: RunError) -> None:
        """Stop the run as failed."""
        if self._failure is None:
            self._failure = error
            self._scope.cancel()

    def _outcome(self) -> tuple[Status, RunError | None]:
        if self._failure is not None:
            return "failed", self._failure
        if self._stopped == "interrupted":
            return "interrupted", _INTERRUPTED
        if self._stopped is not None:
            return "cancelled", None
        if self._scope.cancel_called:
            seconds = self._limits.run_seconds
            return "failed", RunError("run_timeout", f"The run was stopped after {seconds:g} seconds.")
        return "completed", None

    def _explain(self, failure: Exception) -> RunError:
        cause = _cause(failure)
        if isinstance(cause, AgentError):
            return RunError(cause.code, str(cause))
        _log.error("run %s on thread %s failed", self.id, self.thread.id, exc_info=failure)
        if self._debug:
            return RunError("agent_failed", "".join(traceback.format_exception(failure)))
        return RunError("agent_failed", "The agent failed. The reason is in the server's log.")

    def _record(self, status: Status, error: RunError | None = None) -> None:
        self.state = RunState(self.id, status, error)
        self.thread.record(self.state)


def apply_messages(run: Run, *, agrees: bool) -> None:
    """Apply the built-in commands of a batch to the messages in the state, all or none.

    Raises:
        MessageConflict: One does not fit.
    """
    if run.keeps_messages:
        run.messages.check(run.commands, agrees=agrees)
        for command in run.commands:
            if isinstance(command, AddMessage | AddToolResult):
                run.messages.apply(command, agrees=agrees)
        run.flush()


def _cause(failure: BaseException) -> BaseException:
    """Return what went wrong within task groups: the agent's own word for it, if it is there, else the first."""
    if isinstance(failure, BaseExceptionGroup):
        causes = [_cause(inner) for inner in failure.exceptions]
        return next((cause for cause in causes if isinstance(cause, StatecastError)), causes[0])
    return failure
