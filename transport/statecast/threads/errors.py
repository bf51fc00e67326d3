"""Why the engine refuses a request. The tree of errors is drawn in `statecast.protocol.errors`."""

from __future__ import annotations

from statecast.protocol.errors import (
    Conflict,
    Failed,
    Forbidden,
    Invalid,
    Oversized,
    RequestError,
    TooMany,
    Unavailable,
    Unknown,
)

__all__ = [
    "AgentFailed",
    "AgentMismatch",
    "AgentsMessage",
    "CommandIdReused",
    "FieldTooLarge",
    "InvalidPatch",
    "LeaseLost",
    "NotAdopted",
    "NotListening",
    "NotWritable",
    "PatchFailed",
    "PolicyNotAvailable",
    "ResumeMismatch",
    "RevisionGone",
    "RoleNotAllowed",
    "RunActive",
    "RunConflict",
    "RunMismatch",
    "RunNotRetryable",
    "ServerFull",
    "ServerStopping",
    "ThreadDamaged",
    "ThreadExists",
    "TooManyCommands",
    "TooManyRuns",
    "UnknownMessage",
    "UnknownRevision",
    "UnknownRun",
    "UnknownThread",
]


class NotWritable(Forbidden):
    """A patch changes something that the agent does not let clients write."""

    code = "not_writable"


class NotAdopted(Forbidden):
    """A document brings a state, and the agent takes none of clients."""

    code = "not_adopted"


class UnknownThread(Unknown):
    """No thread has this id, or it belongs to another owner."""

    code = "unknown_thread"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f'expected the id of a thread, got "{thread_id[:128]}", which this server does not know')
        self.thread_id = thread_id


class UnknownRevision(Unknown):
    """The thread has not come that far."""

    code = "unknown_revision"


class UnknownRun(Unknown):
    """The thread has no such run, or does not know it any more."""

    code = "unknown_run"

    def __init__(self, run_id: str | None) -> None:
        name = "a run" if run_id is None else f'the id of a run, got "{run_id[:128]}"'
        super().__init__(f"expected {name}, which the thread does not know")


class RevisionGone(RequestError):
    """The state at that revision is not kept any more.

    Args:
        message: As for every error.
        begins: The first revision whose state is kept.
    """

    code = "revision_gone"

    def __init__(self, message: str = "", *, begins: int = 0) -> None:
        super().__init__(message)
        self.begins = begins

    def fields(self) -> dict[str, object]:
        """Return what the wire says beside `code` and the message."""
        return {"begins": self.begins}


class ThreadExists(Conflict):
    """There is a thread of that id already."""

    code = "thread_exists"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f'expected an id that is not in use, got "{thread_id[:128]}"')
        self.thread_id = thread_id


class AgentMismatch(Conflict):
    """The thread belongs to another agent of the app."""

    code = "agent_mismatch"


class CommandIdReused(Conflict):
    """This id already belongs to another command or message."""

    code = "command_id_reused"


class PatchFailed(Conflict):
    """The patch does not fit the state, or one of its tests does not hold."""

    code = "patch_failed"


class ThreadDamaged(Conflict):
    """The store works, but refuses this thread's changes or cannot read it."""

    code = "thread_damaged"

    def __init__(self, thread_id: str) -> None:
        super().__init__(
            f'the thread "{thread_id[:128]}" cannot be stored or read; the reason is in the server\'s log. '
            "Delete it, or go on in another thread"
        )
        self.thread_id = thread_id


class RunConflict(Conflict):
    """The active run is in the way of the request.

    Args:
        message: For people.
        run_id: The active run.
    """

    def __init__(self, message: str, *, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id

    def fields(self) -> dict[str, object]:
        """Return the active run's id."""
        return {} if self.run_id is None else {"runId": self.run_id}


class RunMismatch(RunConflict):
    """Another run is active than the one that the request names."""

    code = "run_mismatch"


class RunActive(RunConflict):
    """A run is under way or waits, and the request cannot go on until it ends."""

    code = "run_active"


class RunNotRetryable(Conflict):
    """The run completed, or its commands are no longer stored."""

    code = "run_not_retryable"


class ResumeMismatch(RunMismatch):
    """Another run is active than the one that the request wants to resume."""


class NotListening(RunConflict):
    """The policy is `deliver`, and the active run does not listen for these commands."""

    code = "not_listening"


class InvalidPatch(Invalid):
    """The body is no JSON Patch."""

    code = "invalid_patch"


class PolicyNotAvailable(Invalid):
    """The agent does not declare `rollback`, so there is nothing to go back to."""

    code = "policy_not_available"


class RoleNotAllowed(Invalid):
    """A client may not write messages of this role here."""

    code = "role_not_allowed"


class TooManyCommands(Invalid):
    """The batch has more commands than allowed."""

    code = "too_many_commands"


class FieldTooLarge(Oversized):
    """A field has more bytes than allowed."""

    code = "field_too_large"


class UnknownMessage(Unknown):
    """The thread's history has no message of this id."""

    code = "unknown_message"

    def __init__(self, id: str) -> None:
        super().__init__(f'expected the id of a message of the thread, got "{id[:140]}"')
        self.id = id


class AgentsMessage(Conflict):
    """The message is in the agent's state, not in the history that clients write."""

    code = "agents_message"


class TooManyRuns(TooMany):
    """The owner has too many runs."""

    code = "too_many_runs"


class AgentFailed(Failed):
    """The agent's code raised an error before there was a run."""

    code = "agent_failed"


class ServerFull(Unavailable):
    """The server has too many runs, sockets, or bodies in flight."""

    code = "server_full"


class LeaseLost(Unavailable):
    """Another process has claimed the thread meanwhile, and nothing of the request was stored."""

    code = "lease_lost"

    def __init__(self) -> None:
        super().__init__("another process has taken over the thread; try again", retry_after=1)


class ServerStopping(Unavailable):
    """The server is about to stop."""

    code = "server_stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping; try again soon", retry_after=2)
