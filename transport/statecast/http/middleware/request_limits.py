"""Requests that are refused before any endpoint sees them."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from statecast.http.request.open_requests import open_request_of
from statecast.http.response.errors import deny, request_error
from statecast.protocol.errors import RequestError

__all__ = ["RequestLimits"]


class RequestLimits:
    """Refuse requests of an address that has too many open, and paths that only look like a route's.

    A route's pattern ends with `$`, which also matches before a line end: `/health%0A` would be `/health`.

    Args:
        app: What answers the others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                open_request_of(scope).enter()
                if scope["path"].endswith("\n"):
                    raise request_error(HTTPException(404), scope)
            except RequestError as error:
                if scope["type"] == "http":
                    raise
                await deny(WebSocket(scope, receive, send), error)
                return
        await self._app(scope, receive, send)
