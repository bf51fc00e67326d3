"""Host check: no foreign host name may resolve to this server (DNS rebinding)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from statecast.http.errors import UnknownHost
from statecast.http.request.headers import header_of
from statecast.http.response.errors import error_response

from .refusals import Refusals

__all__ = ["HostCheck"]

#: What the log says of a host name that was refused.
REFUSED: Final = (
    "requests to the host name %r are refused; allow it with --allowed-host, or allowed_hosts of create_app, "
    "if it is yours"
)

_LOCAL: Final = frozenset({"localhost"})

#: Characters of an address, its zone included; no longer name is looked at.
MAX_ADDRESS: Final = 100


class HostCheck:
    """Refuse requests with an unknown `Host`. IP addresses are allowed: they cannot be rebound.

    Args:
        app: What answers the others.
        allowed: Names beside localhost; `*` allows any, `*.example.com` any below it.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = ()) -> None:
        self._app = app
        names = [name.lower() for name in allowed]
        self._any = "*" in names
        self._names = _LOCAL | set(names)
        self._refusals = Refusals(REFUSED)
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._any:
            host = header_of(scope, b"host") or ""
            if not self._knows(_name(host)):
                self._refusals.log(_name(host)[:MAX_ADDRESS])
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 4421})
                    return
                message = f'expected a known host name, got "{host[:100]}"; allow it with --allowed-host'
                await error_response(UnknownHost(message))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows(self, name: str) -> bool:
        if name in self._names or name.endswith(".localhost") or (self._below and name.endswith(self._below)):
            return True
        return len(name) <= MAX_ADDRESS and _is_address(name)


@lru_cache(256)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """Return a Host header's name, in lower case, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
