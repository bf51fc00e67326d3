"""All errors of the agent's side, and their codes on the wire.

    StatecastError
    ├── NotJson               a value that the state cannot hold
    ├── OperationError        an operation that does not fit the value it is applied to
    ├── RequestError          a refused request of a client; nothing was applied
    │   ├── CommandError      a command that was refused
    │   │   ├── UnknownCommand
    │   │   ├── InvalidCommand
    │   │   ├── InvalidAnswer     an answer that its question does not accept
    │   │   └── MessageConflict   a well-formed command that does not fit the conversation
    │   └── StateInvalid      a state that the agent's declared type refuses
    ├── TooLarge              more than a limit allows
    │   ├── StateTooLarge     a change that would make the state larger than it may be
    │   ├── PartTooLarge      a piece of a message outside the state
    │   └── MemoryTooLarge    a write that would make a memory larger than it may be
    ├── RunEnded              a write by code of a run that has ended
    ├── NoRun                 code that needs a run, called outside one
    └── AgentError            raised by an agent to fail its run with a message for the user
        └── ToolFailed        a frontend tool returned an error

An error builds its message from its fields. `code` is stable and is sent to clients; the message is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

__all__ = [
    "AgentError",
    "CommandError",
    "InvalidAnswer",
    "InvalidCommand",
    "MemoryTooLarge",
    "MessageConflict",
    "NoRun",
    "NotJson",
    "OperationError",
    "PartTooLarge",
    "RequestError",
    "RunEnded",
    "StateInvalid",
    "StateTooLarge",
    "StatecastError",
    "TooLarge",
    "ToolFailed",
    "UnknownCommand",
]


class StatecastError(Exception):
    """Base of every error raised by Statecast."""

    code: str = "statecast_error"  #: stable, goes on the wire


class NotJson(StatecastError, ValueError):
    """A value that JSON, or the published clients, cannot express. The state is unchanged."""

    code = "not_json"

    def __init__(self, expected: str, got: str, path: Sequence[str | int] = ()) -> None:
        super().__init__()
        self.expected = expected
        self.got = got
        self.path = list(path)  #: where in the assigned value, outermost first

    def __str__(self) -> str:
        where = f' at "{"/".join(map(str, self.path))}"' if self.path else ""
        return f"expected {self.expected}{where}, got {self.got}"


class OperationError(StatecastError, ValueError):
    """An operation that the strict clients would refuse. The value is unchanged."""

    code = "invalid_operation"


class RequestError(StatecastError):
    """What a client asked for was refused. Nothing of it was applied.

    Args:
        message: For people: what was expected, what came, what to do.
        limit: The limit that was passed, if one was.
        retry_after: Seconds after which the same request may succeed.
    """

    def __init__(self, message: str = "", *, limit: float | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """Return what clients read."""
        return str(self)

    def within(self, place: str) -> Self:
        """Return the error, with where it was found in front of its message."""
        self.args = (f"in {place}: {self}",)
        return self

    def fields(self) -> dict[str, object]:
        """Return what the wire says beside `code` and the message, by name."""
        return {} if self.limit is None else {"limit": self.limit}


class CommandError(RequestError):
    """A command that was refused before anything was applied."""

    code: str = "invalid_command"


class UnknownCommand(CommandError):
    """A command type that the agent does not define."""

    code = "unknown_command"

    def __init__(self, got: str, expected: Sequence[str], suggestion: str | None) -> None:
        super().__init__()
        self.got = got
        self.expected = list(expected)
        self.suggestion = suggestion

    def __str__(self) -> str:
        known = ", ".join(f'"{name}"' for name in self.expected)
        hint = f' (did you mean "{self.suggestion}"?)' if self.suggestion else ""
        return f'expected a command of type {known}, got "{self.got}"{hint}'


class InvalidCommand(CommandError):
    """A command whose fields have the wrong types or are missing."""

    def __init__(self, command: str, problem: str) -> None:
        super().__init__()
        self.command = command
        self.problem = problem

    def __str__(self) -> str:
        return f'in a "{self.command}" command: {self.problem}'


class InvalidAnswer(CommandError):
    """An answer that its question does not accept."""

    code = "invalid_answer"

    def __init__(self, question: str, problem: str) -> None:
        super().__init__()
        self.question = question  #: its id
        self.problem = problem

    def __str__(self) -> str:
        return f'in the answer to the question "{self.question[:100]}": {self.problem}'


class MessageConflict(CommandError):
    """A command or a handler names a message, call or question that is unknown, answered, or of another kind."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code  #: such as "unknown_parent", "unknown_tool_call", "message_id_taken" or "question_answered"


class TooLarge(StatecastError, ValueError):
    """A value that exceeds a limit. Nothing changes."""

    WHAT: ClassVar = "value"
    UNIT: ClassVar = "bytes as JSON"
    WHY: ClassVar = "a frame may carry all of it, and assistant-ui refuses frames of more than 16 Mi characters"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__()
        self.size = size  #: bytes that it would have
        self.limit = limit  #: bytes that it may have

    def __str__(self) -> str:
        return f"expected a {self.WHAT} of at most {self.limit} {self.UNIT}, got {self.size}: {self.WHY}"


class StateTooLarge(TooLarge):
    """A change that would exceed the state's limit. The state is unchanged."""

    WHAT = "state"
    code = "state_too_large"


class PartTooLarge(TooLarge):
    """A message part outside the state that is larger than a frame can carry. It is not emitted."""

    WHAT = "part"
    code = "part_too_large"


class MemoryTooLarge(TooLarge):
    """A write that would exceed the limit of the thread's memory. The memory is unchanged."""

    WHAT = "memory"
    UNIT = "bytes"
    WHY = "it is all held in the server's memory; delete what is not needed any more, or raise `Limits.memory`"
    code = "memory_too_large"


class StateInvalid(RequestError):
    """A posted state that the agent's declared state type refuses."""

    code = "invalid_state"


class RunEnded(StatecastError, RuntimeError):
    """A write to a run's state, messages or parts after the run has ended. Nothing has changed.

    It is raised in code that outlives its run: a worker thread that cannot be stopped, a task that the agent started
    and did not await, a callback.
    """

    code = "run_over"

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id

    def __str__(self) -> str:
        return (
            f'expected the run "{self.run_id}" to be active, but it has ended, and can change nothing. '
            "Wait for tasks and threads before the handler returns, or start tasks with run.start_soon()"
        )


class NoRun(StatecastError, RuntimeError):
    """`current_run()` was called outside a run."""

    code = "no_run"

    def __str__(self) -> str:
        return (
            "expected to be called for a run, got no run here: call it in a handler, or in tasks and threads that "
            "copy its context, such as those of asyncio.create_task, asyncio.to_thread and run.in_thread; start a "
            "thread of your own with contextvars.copy_context().run"
        )


class AgentError(StatecastError):
    """Fail the run with a message that the user may read.

    Any other exception fails the run too, but its message stays in the server's log.
    """

    code: str = "agent_failed"

    def __init__(self, text: str, *, code: str = "agent_failed") -> None:
        super().__init__(text)
        self.code = code


class ToolFailed(AgentError):
    """A frontend tool returned an error."""

    def __init__(self, tool: str, result: object) -> None:
        super().__init__(f'the tool "{tool}" failed', code="tool_failed")
        self.tool = tool
        self.result = result  #: what it answered
