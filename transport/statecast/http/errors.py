"""The errors of requests that only HTTP has. The tree is drawn in `statecast.protocol.errors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from statecast.protocol.errors import (
    Conflict,
    Failed,
    Forbidden,
    Invalid,
    Malformed,
    Oversized,
    RequestError,
    TimedOut,
    TooMany,
    Unauthorized,
    Unavailable,
    Unknown,
)

__all__ = [
    "AgentNotLoaded",
    "BodyIncomplete",
    "BodyTimeout",
    "BodyTooLarge",
    "CommandsOnResume",
    "EmptyFile",
    "FileDamaged",
    "HeaderTimeout",
    "HeadersTooLarge",
    "HttpError",
    "HttpFailed",
    "HttpForbidden",
    "HttpInvalid",
    "HttpTimedOut",
    "HttpTooMany",
    "HttpUnauthorized",
    "HttpUnavailable",
    "IdentifyFailed",
    "InvalidCursor",
    "InvalidIdempotencyKey",
    "InvalidRevision",
    "InvalidThreadId",
    "InvalidToken",
    "MalformedHttp",
    "MethodNotAllowed",
    "NotFound",
    "OriginNotAllowed",
    "OwnerRequired",
    "PreflightRefused",
    "RangeNotSatisfiable",
    "RunFailed",
    "RunInterrupted",
    "TargetTooLong",
    "TokenExpired",
    "TooManyBytes",
    "TooManyHeaders",
    "TooManyOperations",
    "TooManyRequests",
    "TooManySockets",
    "UnknownAgent",
    "UnknownFile",
    "UnknownFrame",
    "UnknownHost",
    "UnsupportedMediaType",
    "http_error",
]


class MalformedHttp(Malformed):
    """The request is not valid HTTP/1.1."""

    code = "malformed_http"


class BodyIncomplete(Malformed):
    """The connection was closed before the body had arrived."""

    code = "body_incomplete"


class InvalidToken(Unauthorized):
    """The token is none, has expired, or is another server's."""

    code = "invalid_token"


class TokenExpired(InvalidToken):
    """The caller's credentials have expired."""

    code = "token_expired"


class OriginNotAllowed(Forbidden):
    """Pages of this origin may not use the server."""

    code = "origin_not_allowed"


class PreflightRefused(OriginNotAllowed):
    """A browser asked whether a page of another origin may use the server."""


class OwnerRequired(Forbidden):
    """The request has no user whose threads could be listed."""

    code = "owner_required"


class IdentifyFailed(Forbidden):
    """The app's `identify` returned neither a user nor None."""

    code = "identify_failed"


class NotFound(Unknown):
    """Nothing is served at this path."""

    code = "not_found"


class UnknownFile(Unknown):
    """No file has this name, or it belongs to another owner."""

    code = "unknown_file"

    def __init__(self) -> None:
        super().__init__("expected the name of a file, got one that this server does not know")


class FileDamaged(Conflict):
    """What the store holds of the file cannot be read."""

    code = "file_damaged"

    def __init__(self) -> None:
        super().__init__("what is kept of this file cannot be read any more; upload it again")


class BodyTooLarge(Oversized):
    """The body has more bytes than allowed."""

    code = "body_too_large"


class CommandsOnResume(Invalid):
    """A resume takes no commands."""

    code = "commands_on_resume"


class EmptyFile(Invalid):
    """An upload has no bytes."""

    code = "empty_file"


class InvalidCursor(Invalid):
    """The place in the list of threads is none of this server's."""

    code = "invalid_cursor"


class InvalidIdempotencyKey(Invalid):
    """The key is empty or too long."""

    code = "invalid_idempotency_key"


class InvalidRevision(Invalid):
    """The revision is no number."""

    code = "invalid_revision"


class TooManyOperations(Invalid):
    """The patch has more operations than a batch may have commands."""

    code = "too_many_operations"


class UnknownFrame(Invalid):
    """A WebSocket takes no frames of this type."""

    code = "unknown_frame"


class TooManyBytes(TooMany):
    """Too many bytes of bodies are arriving from this address at once."""

    code = "too_many_bytes"


class TooManyRequests(TooMany):
    """Too many requests and sockets are open for this owner, address or connection."""

    code = "too_many_requests"


class TooManySockets(TooMany):
    """Too many sockets are open from this address."""

    code = "too_many_sockets"


class BodyTimeout(TimedOut):
    """The body took too long."""

    code = "body_timeout"


class HeaderTimeout(TimedOut):
    """The headers took too long."""

    code = "header_timeout"


class HeadersTooLarge(RequestError):
    """The request line and headers have more bytes than allowed."""

    code = "headers_too_large"


class TooManyHeaders(RequestError):
    """The request has more headers than allowed."""

    code = "too_many_headers"


class TargetTooLong(RequestError):
    """The request line has more bytes than allowed."""

    code = "target_too_long"


class UnknownHost(RequestError):
    """The `Host` of the request is not one of the allowed names."""

    code = "unknown_host"


class MethodNotAllowed(RequestError):
    """The path has other methods.

    Args:
        message: For people.
        allowed: The methods that the path has, joined by commas.
    """

    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class UnsupportedMediaType(RequestError):
    """The body is not declared as JSON in UTF-8, or is compressed; a file is of a type that is not taken.

    Args:
        message: For people.
        types: The types that are taken, where the app has chosen some.
    """

    code = "unsupported_media_type"

    def __init__(self, message: str, *, types: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.types = types

    def fields(self) -> dict[str, object]:
        """Return the types that are taken."""
        return {} if self.types is None else {"types": self.types}


class UnknownAgent(Unknown):
    """The app has no agent of that name."""

    code = "unknown_agent"


class InvalidThreadId(Invalid):
    """The thread id has another form."""

    code = "invalid_thread_id"


class RangeNotSatisfiable(RequestError):
    """The range that is asked for begins behind the end of the file.

    Args:
        message: For people.
        size: Bytes of the file.
    """

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class HttpError(RequestError):
    """What starlette, or the app's own code, raised as an `HTTPException`.

    Args:
        message: Its detail.
        status: Its status.
        headers: Its headers.
    """

    code = "http_error"

    def __init__(self, message: str, *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class HttpInvalid(HttpError, Invalid):
    """An `HTTPException` for what can be read, and is not what was expected."""


class HttpUnauthorized(HttpError, Unauthorized):
    """An `HTTPException` for a request that has no user, and needs one."""


class HttpForbidden(HttpError, Forbidden):
    """An `HTTPException` for what the caller may not do."""


class HttpTimedOut(HttpError, TimedOut):
    """An `HTTPException` for a request that took too long to arrive."""


class HttpTooMany(HttpError, TooMany):
    """An `HTTPException` for a sender who has too many of something."""


class HttpFailed(HttpError, Failed):
    """An `HTTPException` for a fault of the server's."""


class HttpUnavailable(HttpError, Unavailable):
    """An `HTTPException` for what may succeed later."""


class RunFailed(Failed):
    """The run that a response was to hold has failed.

    Args:
        message: The run's.
        code: The run's.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class AgentNotLoaded(Unavailable):
    """The agent's code does not load; only `statecast dev` serves then.

    Args:
        message: What is wrong, with the file and the line.
        traceback: Of the user's own code.
    """

    code = "agent_not_loaded"

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message, retry_after=1)
        self.traceback = traceback

    def fields(self) -> dict[str, object]:
        """Return the traceback, if there is one."""
        return super().fields() | ({"traceback": self.traceback} if self.traceback else {})


class RunInterrupted(Unavailable):
    """The server stopped before the run had ended."""

    code = "run_interrupted"


#: Of an `HTTPException`, by its status; others are of the request, or from 500 on of the server.
_HTTP_ERRORS: Final = {
    401: HttpUnauthorized,
    403: HttpForbidden,
    408: HttpTimedOut,
    422: HttpInvalid,
    429: HttpTooMany,
    503: HttpUnavailable,
}


def http_error(status: int, message: str, headers: Mapping[str, str]) -> HttpError:
    """Return what starlette, or the app's own code, raised as an `HTTPException`."""
    kind = _HTTP_ERRORS.get(status, HttpFailed if status >= 500 else HttpError)
    return kind(message, status=status, headers=headers)
