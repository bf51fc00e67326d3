"""Every error that a request can meet, as a tree. HTTP is not in it: `http/response/statuses.py` gives each a status.

    RequestError                      a request was refused, and had no effect
    ├── CommandError, StateInvalid    (statecast_agents.errors)
    ├── Malformed                     it cannot be read
    │   ├── MalformedJson
    │   └── MalformedHttp, BodyIncomplete                               (http.errors)
    ├── Unauthorized                  it is not known who asks
    │   └── InvalidToken, TokenExpired                                  (http.errors)
    ├── Forbidden                     the caller may not do this
    │   ├── NotWritable
    │   ├── OriginNotAllowed, OwnerRequired, IdentifyFailed             (http.errors)
    │   └── AnonymousNotAllowed, ApiKeyRequired, InvalidSignature, UrlExpired     (http.cloud.errors)
    ├── Unknown                       what it names is not there, or another owner's
    │   ├── UnknownThread, UnknownRevision, UnknownMessage
    │   ├── NotFound, UnknownAgent, UnknownFile                         (http.errors)
    │   └── UnknownLease                                                (http.cloud.errors)
    ├── RevisionGone                  it is not kept any more
    ├── Conflict                      it does not fit what is there
    │   ├── AgentMismatch, AgentsMessage, CommandIdReused, UnknownInterrupt
    │   ├── RunConflict               the active run is in its way
    │   │   └── RunMismatch (ResumeMismatch), RunActive, NotListening
    │   ├── PatchFailed, ThreadDamaged
    │   ├── FileDamaged                                                 (http.errors)
    │   └── LeaseEnded, LeaseMismatch, FileExists                       (http.cloud.errors)
    ├── Oversized                     it is larger than allowed, or would make something so
    │   ├── TooManyValues, PatchTooLarge, StateLimitExceeded, FieldTooLarge
    │   └── BodyTooLarge                                                (http.errors)
    ├── Invalid                       it can be read, and is not what was expected
    │   ├── InvalidRequest            a field has the wrong type or value
    │   ├── ForbiddenKey, NumberOutOfRange, TooDeep
    │   ├── InvalidPatch, InvalidResume, InvalidState, ThreadIdRequired
    │   ├── PolicyNotAvailable, RoleNotAllowed, TooManyCommands, UnknownFormat, UnknownProtocol,
    │   │   UnsupportedParameter
    │   └── CommandsOnResume, EmptyFile, InvalidCursor, InvalidIdempotencyKey, InvalidRevision, InvalidThreadId,
    │       TooManyOperations, UnknownFrame                             (http.errors)
    ├── TooMany                       its sender has too many of something; it may succeed later
    │   ├── TooManyRuns
    │   └── TooManyBytes, TooManyRequests, TooManySockets               (http.errors)
    ├── TimedOut                      it took too long to arrive
    │   └── BodyTimeout, HeaderTimeout                                  (http.errors)
    ├── HeadersTooLarge, TooManyHeaders, TargetTooLong, UnknownHost, MethodNotAllowed, UnsupportedMediaType,
    │   RangeNotSatisfiable                                             (http.errors)
    ├── HttpError                     starlette's, or the app's own     (http.errors)
    ├── Failed                        the fault is the server's, or the agent's
    │   ├── AgentFailed
    │   ├── InternalError             its text is for the log
    │   │   └── Damaged, ChangeRefused                                  (stores.errors)
    │   └── RunFailed                                                   (http.errors)
    └── Unavailable                   it may succeed later
        ├── ServerFull, ServerStopping
        ├── StoreUnavailable          its text is for the log           (stores.errors)
        ├── RunInterrupted                                              (http.errors)
        └── IssuerUnavailable                                           (http.cloud.errors)

A class bears the name of its `code`, which is stable and goes on the wire; docs/protocol.md, "Errors", lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from statecast_agents.errors import RequestError

__all__ = [
    "AgentFailed",
    "AgentMismatch",
    "AgentsMessage",
    "CommandIdReused",
    "Conflict",
    "ErrorForm",
    "Failed",
    "FieldTooLarge",
    "Forbidden",
    "ForbiddenKey",
    "InternalError",
    "Invalid",
    "InvalidPatch",
    "InvalidRequest",
    "InvalidResume",
    "InvalidState",
    "Malformed",
    "MalformedJson",
    "NotListening",
    "NotWritable",
    "NumberOutOfRange",
    "Oversized",
    "PatchFailed",
    "PatchTooLarge",
    "PolicyNotAvailable",
    "RequestError",
    "ResumeMismatch",
    "RevisionGone",
    "RoleNotAllowed",
    "RunActive",
    "RunConflict",
    "RunMismatch",
    "ServerFull",
    "ServerStopping",
    "StateLimitExceeded",
    "ThreadDamaged",
    "ThreadIdRequired",
    "TimedOut",
    "TooDeep",
    "TooMany",
    "TooManyCommands",
    "TooManyRuns",
    "TooManyValues",
    "Unauthorized",
    "Unavailable",
    "Unknown",
    "UnknownFormat",
    "UnknownInterrupt",
    "UnknownMessage",
    "UnknownProtocol",
    "UnknownRevision",
    "UnknownThread",
    "UnsupportedParameter",
    "error_fields",
    "plain_form",
]

#: Characters of what is said of a request that is refused. What was wrong in it may be as long as its body.
MAX_MESSAGE: Final = 2_000


class ErrorForm(msgspec.Struct, frozen=True):
    """What a protocol makes of an error."""

    body: dict[str, Any]
    headers: Mapping[str, str] = {}
    like: type[RequestError] | None = None  #: the class whose status the response has, if not the error's own


def plain_form(error: RequestError) -> ErrorForm:
    """Return the form that an error has, unless a protocol has one of its own."""
    return ErrorForm({"error": error_fields(error)})


def error_fields(error: RequestError) -> dict[str, Any]:
    """Return what is said of an error, by name."""
    message = error.message
    if len(message) > MAX_MESSAGE and not isinstance(error, Failed | Unavailable):  # their text is not the client's
        message = f"{message[:MAX_MESSAGE]}…"
    return {"code": error.code, "message": message, **error.fields()}


class Malformed(RequestError):
    """The request cannot be read."""


class MalformedJson(Malformed):
    """The body is no JSON, not UTF-8, has a byte order mark, or a lone surrogate."""

    code = "malformed_json"


class Unauthorized(RequestError):
    """The request needs a user, and has none."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The caller may not do this."""


class NotWritable(Forbidden):
    """A patch changes something that the agent does not let clients write."""

    code = "not_writable"


class Unknown(RequestError):
    """What the request names is not there, or is another owner's."""


class UnknownThread(Unknown):
    """No thread has this id, or it belongs to another owner."""

    code = "unknown_thread"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f'expected the id of a thread, got "{thread_id[:128]}", which this server does not know')
        self.thread_id = thread_id


class UnknownRevision(Unknown):
    """The thread has not come that far."""

    code = "unknown_revision"


class RevisionGone(RequestError):
    """The state at that revision is not kept any more."""

    code = "revision_gone"


class Conflict(RequestError):
    """The request does not fit what is there."""


class AgentMismatch(Conflict):
    """The thread belongs to another agent of the app."""

    code = "agent_mismatch"


class CommandIdReused(Conflict):
    """This id already belongs to another command or message."""

    code = "command_id_reused"


class UnknownInterrupt(Conflict):
    """Nothing waits for this answer."""

    code = "unknown_interrupt"


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


class ResumeMismatch(RunMismatch):
    """Another run is active than the one that the request wants to resume."""


class NotListening(RunConflict):
    """The policy is `deliver`, and the active run does not listen for these commands."""

    code = "not_listening"


class Oversized(RequestError):
    """The request is larger than allowed, or would make something so."""


class TooManyValues(Oversized):
    """The body holds more JSON values than allowed."""

    code = "too_many_values"


class PatchTooLarge(Oversized):
    """The patch copies and moves more of the state than one request may."""

    code = "patch_too_large"


class StateLimitExceeded(Oversized):
    """The state, posted or grown, has more bytes than allowed."""

    code = "state_too_large"


class Invalid(RequestError):
    """The request can be read, and is not what was expected."""


class InvalidRequest(Invalid):
    """A field of the request has the wrong type or value.

    Args:
        message: For people.
        limit: The limit that was passed, if one was.
        param: The field, where a protocol has a place of its own for its name.
    """

    code = "invalid_request"

    def __init__(self, message: str, *, limit: float | None = None, param: str | None = None) -> None:
        super().__init__(message, limit=limit)
        self.param = param

    def fields(self) -> dict[str, object]:
        """Return the limit and the field's name, where they are known."""
        return super().fields() | ({} if self.param is None else {"param": self.param})


class ForbiddenKey(Invalid):
    """`__proto__`, `constructor` or `prototype` is a key.

    Args:
        message: For people.
        key: Which.
    """

    code = "forbidden_key"

    def __init__(self, message: str, *, key: object) -> None:
        super().__init__(message)
        self.key = key

    def fields(self) -> dict[str, object]:
        """Return the key."""
        return {"key": self.key}


class NumberOutOfRange(Invalid):
    """An integer that JavaScript would round, or a number beyond a double."""

    code = "number_out_of_range"


class TooDeep(Invalid):
    """Containers nest deeper than allowed."""

    code = "too_deep"


class InvalidPatch(Invalid):
    """The body is no JSON Patch."""

    code = "invalid_patch"


class InvalidResume(Invalid):
    """What answers an interrupt is no command."""

    code = "invalid_resume"


class InvalidState(Invalid):
    """The posted state does not fit the agent's state type."""

    code = "invalid_state"


class ThreadIdRequired(Invalid):
    """The request needs a thread id."""

    code = "thread_id_required"


class PolicyNotAvailable(Invalid):
    """The agent does not declare `rollback`, so there is nothing to go back to."""

    code = "policy_not_available"


class RoleNotAllowed(Invalid):
    """A client may not write messages of this role here."""

    code = "role_not_allowed"


class TooManyCommands(Invalid):
    """The batch has more commands than allowed."""

    code = "too_many_commands"


class UnknownFormat(Invalid):
    """Events are not served in this format."""

    code = "unknown_format"


class UnknownProtocol(Invalid):
    """There is no protocol of that name."""

    code = "unknown_protocol"


class FieldTooLarge(Oversized):
    """A field has more bytes than allowed."""

    code = "field_too_large"


class UnknownMessage(Unknown):
    """The thread's history has no message of this id."""

    code = "unknown_message"


class AgentsMessage(Conflict):
    """The message is in the agent's state, not in the history that clients write."""

    code = "agents_message"


class UnsupportedParameter(InvalidRequest):
    """A parameter asks for what no answer can have."""

    code = "unsupported_parameter"


class TooMany(RequestError):
    """The sender has too many of something."""


class TooManyRuns(TooMany):
    """The owner has too many runs."""

    code = "too_many_runs"


class TimedOut(RequestError):
    """The request took too long to arrive."""


class Failed(RequestError):
    """The fault is the server's, or the agent's."""


class AgentFailed(Failed):
    """The agent's code raised an error before there was a run."""

    code = "agent_failed"


class InternalError(Failed):
    """The server failed.

    Args:
        reason: For the log.
    """

    code = "internal_error"

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)

    @property
    def message(self) -> str:
        """Return what clients read, which is not the reason."""
        return "the server failed; the reason is in its log"


class Unavailable(RequestError):
    """The request may succeed later."""


class ServerFull(Unavailable):
    """The server has too many runs, sockets, or bodies in flight."""

    code = "server_full"


class ServerStopping(Unavailable):
    """The server is about to stop."""

    code = "server_stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping; try again soon", retry_after=2)
