"""`ServerConfig`: uvicorn's configuration, and what our protocols need beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import uvicorn

from statecast.http import App
from statecast.http.request.in_flight import BodiesInFlight
from statecast.threads import Limits

from .sockets import Sockets

__all__ = ["ServerConfig"]


class ServerConfig(uvicorn.Config):
    """The configuration of a server.

    Args:
        app: An ASGI app, or the import string of one. The limits are those of an `App`, and the default ones of others.
        proxies: Addresses or networks of proxies that are believed; `*`: whoever connects is one.
        options: As for `uvicorn.Config`.
    """

    def __init__(self, app: Any, *, proxies: Sequence[str] = (), **options: Any) -> None:
        self.limits = app.hub.limits if isinstance(app, App) else Limits()
        self.bodies = app.open_requests.bodies if isinstance(app, App) else BodiesInFlight(self.limits)
        self.sockets = Sockets(self.limits.connections, proxies)
        super().__init__(
            app,
            **{
                "ws_max_size": self.limits.body,
                "ws_per_message_deflate": self.limits.connections.compress,
                "timeout_keep_alive": self.limits.connections.idle_seconds,
                "proxy_headers": bool(proxies),
                "forwarded_allow_ips": list(proxies),
                **options,
            },
        )
