"""The HTTP status and the headers of every error. Elsewhere errors know nothing of HTTP."""

from __future__ import annotations

from typing import Final

from statecast.http import errors as http_errors
from statecast.http.errors import HttpError, InvalidToken, MethodNotAllowed, RangeNotSatisfiable
from statecast.protocol import errors
from statecast.protocol.errors import RequestError, Unauthorized
from statecast.threads import errors as thread_errors
from statecast.threads.errors import ResumeMismatch
from statecast_agents.errors import MessageConflict

__all__ = ["STATUSES", "headers_of", "status_of", "status_of_class"]

#: By class; a class without an entry has its base's.
STATUSES: Final[dict[type[RequestError], int]] = {
    RequestError: 422,
    errors.Malformed: 400,
    http_errors.PreflightRefused: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Unknown: 404,
    http_errors.MethodNotAllowed: 405,
    errors.TimedOut: 408,
    errors.Conflict: 409,
    MessageConflict: 409,
    thread_errors.RevisionGone: 410,
    errors.Oversized: 413,
    http_errors.TargetTooLong: 414,
    http_errors.UnsupportedMediaType: 415,
    http_errors.RangeNotSatisfiable: 416,
    http_errors.UnknownHost: 421,
    errors.TooMany: 429,
    http_errors.HeadersTooLarge: 431,
    http_errors.TooManyHeaders: 431,
    errors.Failed: 500,
    errors.Unavailable: 503,
}


def status_of(error: RequestError) -> int:
    """Return the status of the response to a request that met `error`."""
    if isinstance(error, HttpError):
        return error.status
    return status_of_class(type(error))


def status_of_class(kind: type[RequestError]) -> int:
    """Return the status that the errors of a class have."""
    return next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)


def headers_of(error: RequestError) -> dict[str, str]:
    """Return what else the headers of that response say."""
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    match error:
        case HttpError():
            return dict(error.headers)
        case MethodNotAllowed():
            headers["allow"] = error.allowed
        case InvalidToken():
            headers["www-authenticate"] = 'Bearer error="invalid_token"'
        case Unauthorized():
            headers["www-authenticate"] = "Bearer"
        case ResumeMismatch():
            headers["x-stream-status"] = "run_mismatch"
        case RangeNotSatisfiable():
            headers["content-range"] = f"bytes */{error.size}"
    return headers
