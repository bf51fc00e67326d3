"""Who sends a request, and until when that is known.

`Authenticate` is the one contract: the app's `identify` and the tokens of the cloud API each implement it, and
`create_app` puts them in order.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import Scope

from statecast.http.errors import IdentifyFailed, TokenExpired
from statecast.protocol import RunError
from statecast.threads import user_id

__all__ = [
    "EXPIRED",
    "EXPIRES",
    "USER",
    "AppUsers",
    "Authenticate",
    "Caller",
    "Identify",
    "caller_of",
    "seconds_left",
]

_log: Final = logging.getLogger("statecast")

#: In the scope of a request: until when its caller is known, in seconds since the epoch, or None. Streams end then.
EXPIRES: Final = "statecast.expires"

#: In the scope of a request that a test makes in this process: its user, whatever `identify` would say.
USER: Final = "statecast.user"

#: Why they do.
EXPIRED: Final = RunError(
    "token_expired", "The credentials of this connection have expired; connect again with new ones. Runs go on."
)

#: Returns whose a request is: a text, or any object or mapping with an `id`; None: no one's in particular.
Identify: TypeAlias = Callable[[HTTPConnection], Awaitable[object]]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a request."""

    owner: str | None = None  #: of their threads
    user: Any = None  #: as the app's `identify` returned them; for agents only
    expires_at: float | None = None  #: until when that is known, in seconds since the epoch
    trace: dict[str, str] = {}  #: the headers of the request that name its trace


class Authenticate(Protocol):
    """Tells who sends a request."""

    async def __call__(self, scope: Scope, *, key_alone: bool = False) -> Caller | None:
        """Return the caller; None if the request has no credentials of this kind.

        Args:
            scope: The request's.
            key_alone: Whether an API key of the cloud API may come without a user.

        Raises:
            RequestError: 401 for credentials that are of this kind and not valid.
        """


class AppUsers:
    """Asks the app's `identify`, which knows the sender of every request.

    Args:
        identify: The app's function.
    """

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    async def __call__(self, scope: Scope, *, key_alone: bool = False) -> Caller:
        """Return the caller.

        Raises:
            RequestError: `identify_failed` if `identify` returned no user: an error of the app, which is logged;
                `token_expired`.
        """
        connection = HTTPConnection(scope)
        user: object = self._identify(connection)
        if inspect.isawaitable(user):
            user = await user
        try:
            return caller_of(user)
        except (TypeError, ValueError) as error:
            _log.error("a request for %s is refused: %s", connection.url.path[:200], error)
            message = "the app could not identify the user of this request; the reason is in the server's log"
            raise IdentifyFailed(message) from None


def caller_of(user: object) -> Caller:
    """Return the caller of a request for whom the app's `identify` returned `user`.

    Raises:
        TypeError, ValueError: `user` is none.
        RequestError: `token_expired`.
    """
    if user is None:
        return Caller()
    caller = Caller(owner=user_id(user), user=user, expires_at=_expiry_of(user))
    if seconds_left(caller.expires_at) == 0:
        raise TokenExpired(EXPIRED.message)
    return caller


def seconds_left(expires_at: float | None) -> float | None:
    """Return the seconds until credentials expire; None if they never do."""
    return None if expires_at is None else max(0.0, expires_at - time.time())


def _expiry_of(user: object) -> float | None:
    found = None
    if not isinstance(user, str):
        found = user.get("expires_at") if isinstance(user, Mapping) else getattr(user, "expires_at", None)
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.timestamp()
    if found is None or (isinstance(found, int | float) and not isinstance(found, bool)):
        return found
    expected = "seconds since the epoch, or a datetime with a time zone"
    raise TypeError(f"expected the user's `expires_at` to be {expected}, got {found!r:.80}")
