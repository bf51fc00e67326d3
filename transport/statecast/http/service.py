"""`Service`: what the endpoints share: the hub, who sends a request, and the app's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.types import Scope

from statecast.threads import Hub, OnDisconnect

from .request.caller import EXPIRES, USER, Authenticate, Caller, caller_of
from .request.headers import header_of
from .request.open_requests import open_request_of

__all__ = ["Service"]

#: The headers that name a request's trace, as W3C Trace Context has them, and the most characters of each.
TRACE: Final = ("traceparent", "tracestate")
MAX_TRACE: Final = 512


class Service(msgspec.Struct, frozen=True):
    """The services that every endpoint uses."""

    hub: Hub
    on_disconnect: OnDisconnect
    authenticate: Sequence[Authenticate] = ()  #: asked in this order; if none knows, the request is nobody's
    open_list: bool = False  #: whether `GET /threads` lists the threads without an owner

    async def caller(self, scope: Scope, *, key_alone: bool = False) -> Caller:
        """Identify the caller of a request.

        Args:
            scope: The request's.
            key_alone: Whether an API key of the cloud API may come without a user.

        Raises:
            RequestError: `invalid_token` for an expired token, or one of another issuer; `token_expired`;
                `unauthorized` where everybody has to sign in; `identify_failed`; `too_many_requests`.
        """
        caller = await self._authenticated(scope, key_alone)
        scope[EXPIRES] = caller.expires_at
        open_request_of(scope).belong_to(caller.owner)
        trace = _trace_of(scope)
        return msgspec.structs.replace(caller, trace=trace) if trace else caller

    async def owner(self, scope: Scope) -> str | None:
        """Return the owner of the threads that a request may use.

        Raises:
            RequestError: As `caller`.
        """
        return (await self.caller(scope)).owner

    async def _authenticated(self, scope: Scope, key_alone: bool) -> Caller:
        if USER in scope:
            return caller_of(scope[USER])
        for authenticate in self.authenticate:
            caller = await authenticate(scope, key_alone=key_alone)
            if caller is not None:
                return caller
        return Caller()


def _trace_of(scope: Scope) -> dict[str, str]:
    """Return the headers that name a request's trace; none if it names none."""
    if header_of(scope, b"traceparent") is None:
        return {}
    found = {name: header_of(scope, name.encode()) for name in TRACE}
    return {name: value for name, value in found.items() if value is not None and len(value) <= MAX_TRACE}
