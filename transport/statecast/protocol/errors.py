"""Every error that a request can meet, as a tree without HTTP: `http/response/statuses.py` gives each class its status.

    RequestError                      what a client asked for was refused; nothing of it was applied
    ├── agents: CommandError, StateInvalid
    ├── Malformed                     it cannot be read
    │   ├── MalformedJson
    │   └── http: MalformedHttp, BodyIncomplete
    ├── Unauthorized                  it is not known who asks
    │   └── http: InvalidToken
    │       └── http: TokenExpired
    ├── Forbidden                     the caller may not do this
    │   ├── threads: NotAdopted, NotWritable
    │   ├── http: OwnerRequired, IdentifyFailed
    │   ├── cloud: AnonymousNotAllowed, ApiKeyRequired, InvalidSignature, UrlExpired
    │   └── http: OriginNotAllowed
    │       └── http: PreflightRefused
    ├── Unknown                       what it names is not there, or is another owner's
    │   ├── threads: UnknownThread, UnknownRevision, UnknownRun, UnknownMessage
    │   ├── http: NotFound, UnknownFile, UnknownAgent
    │   └── cloud: UnknownLease
    ├── Conflict                      it does not fit what is there
    │   ├── UnknownInterrupt
    │   ├── threads: AgentMismatch, CommandIdReused, PatchFailed, ThreadDamaged, AgentsMessage,
    │   │       RunNotRetryable, ThreadExists
    │   ├── http: FileDamaged
    │   ├── cloud: LeaseEnded, LeaseMismatch, FileExists
    │   └── threads: RunConflict      the active run is in the way
    │       ├── threads: RunActive, NotListening
    │       └── threads: RunMismatch
    │           └── threads: ResumeMismatch
    ├── Oversized                     it is larger than allowed, or would make something so
    │   ├── TooManyValues, PatchTooLarge, StateLimitExceeded
    │   ├── threads: FieldTooLarge
    │   └── http: BodyTooLarge
    ├── Invalid                       it can be read, and is not what was expected
    │   ├── ForbiddenKey, NumberOutOfRange, TooDeep, InvalidResume, ThreadIdRequired, UnknownFormat, UnknownProtocol
    │   ├── threads: InvalidPatch, PolicyNotAvailable, RoleNotAllowed, TooManyCommands
    │   ├── http: CommandsOnResume, EmptyFile, InvalidCursor, InvalidIdempotencyKey, InvalidRevision, TooManyOperations,
    │   │       UnknownFrame, InvalidThreadId
    │   └── InvalidRequest            a field has the wrong type or value
    │       └── UnsupportedParameter
    ├── TooMany                       its sender has too many of something
    │   ├── threads: TooManyRuns
    │   └── http: TooManyBytes, TooManyRequests, TooManySockets
    ├── TimedOut                      it took too long to arrive
    │   └── http: BodyTimeout, HeaderTimeout
    ├── Failed                        the fault is the server's, or the agent's
    │   ├── threads: AgentFailed
    │   ├── http: RunFailed
    │   └── InternalError             its text is for the log
    │       └── stores: ChangeRefused, Damaged, Fenced
    ├── Unavailable                   it may succeed later
    │   ├── threads: LeaseLost, ServerFull, ServerStopping
    │   ├── stores: StoreUnavailable
    │   ├── http: AgentNotLoaded, RunInterrupted
    │   └── cloud: IssuerUnavailable
    ├── http: HttpError               starlette's, or the app's own
    │   └── http: HttpInvalid, HttpUnauthorized, HttpForbidden, HttpTimedOut, HttpTooMany, HttpFailed, HttpUnavailable
    ├── threads: RevisionGone
    └── http: HeadersTooLarge, TooManyHeaders, TargetTooLong, UnknownHost, MethodNotAllowed, UnsupportedMediaType,
            RangeNotSatisfiable

Before a colon stands the package whose `errors` has the classes, if it is not this one: `statecast_agents`, or one of
`statecast` (`cloud` is in `http`). `code` is stable and goes on the wire; docs/protocol/errors.md lists the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from statecast_agents.errors import RequestError

__all__ = [
    "Conflict",
    "ErrorForm",
    "Failed",
    "Forbidden",
    "ForbiddenKey",
    "InternalError",
    "Invalid",
    "InvalidRequest",
    "InvalidResume",
    "Malformed",
    "MalformedJson",
    "NumberOutOfRange",
    "Oversized",
    "PatchTooLarge",
    "RequestError",
    "StateLimitExceeded",
    "ThreadIdRequired",
    "TimedOut",
    "TooDeep",
    "TooMany",
    "TooManyValues",
    "Unauthorized",
    "Unavailable",
    "Unknown",
    "UnknownFormat",
    "UnknownInterrupt",
    "UnknownProtocol",
    "UnsupportedParameter",
    "error_fields",
    "plain_form",
]

#: Characters of an error's message. It quotes the request, whose values may be as long as its body.
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
    """Return the fields of an error, by name."""
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


class Unknown(RequestError):
    """What the request names is not there, or is another owner's."""


class Conflict(RequestError):
    """The request does not fit what is there."""


class UnknownInterrupt(Conflict):
    """Nothing waits for this answer."""

    code = "unknown_interrupt"


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
        key: Which.
    """

    code = "forbidden_key"

    def __init__(self, key: str) -> None:
        super().__init__(f'expected keys that the clients accept, got the reserved name "{key}"')
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

    def __init__(self, limit: int | None = None) -> None:
        most = "fewer" if limit is None else f"at most {limit}"
        got = "very many" if limit is None else "more"
        super().__init__(f"expected {most} nested containers, got {got}", limit=limit)


class InvalidResume(Invalid):
    """What answers an interrupt is no command."""

    code = "invalid_resume"


class ThreadIdRequired(Invalid):
    """The request needs a thread id."""

    code = "thread_id_required"


class UnknownFormat(Invalid):
    """Events are not served in this format."""

    code = "unknown_format"


class UnknownProtocol(Invalid):
    """There is no protocol of that name."""

    code = "unknown_protocol"


class UnsupportedParameter(InvalidRequest):
    """A parameter asks for what no answer can have."""

    code = "unsupported_parameter"


class TooMany(RequestError):
    """The sender has too many of something."""


class TimedOut(RequestError):
    """The request took too long to arrive."""


class Failed(RequestError):
    """The fault is the server's, or the agent's."""


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
