"""An app inside another: below a prefix, in front of an app that mounts nothing, or behind a route.

Starlette and FastAPI mount it as it is. Every class here gives it the scope that Starlette's `Mount` would: the whole
path, and in `root_path` the part that is not its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["InFrontOf", "MountedResponse", "WithPrefix", "checked_prefix"]

#: The kinds of scopes that have a path.
CONNECTIONS: Final = ("http", "websocket")

_Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def checked_prefix(prefix: object) -> str:
    """Return a prefix of paths.

    Raises:
        ValueError: It is none; the text says what is expected.
    """
    if not isinstance(prefix, str) or not prefix.startswith("/") or prefix.endswith("/"):
        raise ValueError(f'expected a prefix such as "/agents", with a slash before it and none behind, got {prefix!r}')
    return prefix


class WithPrefix:
    """An app for frameworks that cut the prefix off the path and leave `root_path` as it was, as Litestar does.

    Args:
        app: The app.
        prefix: Where the framework mounts it.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] in CONNECTIONS:
            scope = _mounted(scope, self._prefix, _path_of(scope))
        await self._app(scope, receive, send)


class InFrontOf:
    """Sends the requests below a prefix to an app, and all others to another. Both have their lifespan.

    Args:
        other: Gets the other requests.
        app: Gets those below the prefix.
        prefix: The prefix.
        lifespan: The app's.
    """

    def __init__(self, other: ASGIApp, app: ASGIApp, prefix: str, lifespan: _Lifespan) -> None:
        self._other = other
        self._app = app
        self._prefix = prefix
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan of both."""
        if scope["type"] == "lifespan":
            await _Lives(self._other, self._lifespan, receive, send).run(scope)
            return
        own = _below(scope, self._prefix)
        if own is None:
            await self._other(scope, receive, send)
        else:
            await self._app(_mounted(scope, self._prefix, own), receive, send)


class MountedResponse(Response):
    """The response of a route: an app answers the route's request.

    Args:
        app: The app.
        prefix: The part of the path that is not the app's own.
        user: Who sends the request, for the app's `identify`; None: as the scope says.

    Raises:
        ValueError: When it is sent: the route's path does not begin with the prefix.
    """

    def __init__(self, app: ASGIApp, prefix: str, user: object = None) -> None:
        super().__init__()
        self._app = app
        self._prefix = prefix
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        own = _below(scope, self._prefix)
        if own is None:
            raise ValueError(f"expected a route below the prefix {self._prefix!r}, got {_path_of(scope)[:200]!r}")
        scope = _mounted(scope, self._prefix, own)
        if self._user is not None:
            scope["user"] = self._user
        await self._app(scope, receive, send)
        if self.background is not None:
            await self.background()


def _path_of(scope: Scope) -> str:
    """Return a request's path without the server's `root_path`, which servers put in front of it, or do not."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


def _below(scope: Scope, prefix: str) -> str | None:
    """Return the part of a request's path behind a prefix; None if it is not below the prefix."""
    path = _path_of(scope)
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else None


def _mounted(scope: Scope, prefix: str, own: str) -> Scope:
    """Return the scope for an app mounted at a prefix, where `own` is the path below it."""
    root = scope.get("root_path", "") + prefix
    return {**scope, "root_path": root, "path": f"{root}{own.rstrip('/') or '/'}"}


class _Lives:
    """The lifespans of two apps as one: the second starts inside the first, and need not have any.

    Args:
        other: The second app.
        lifespan: The first one's.
        receive: The server's.
        send: The server's.
    """

    def __init__(self, other: ASGIApp, lifespan: _Lifespan, receive: Receive, send: Send) -> None:
        self._other = other
        self._lifespan = lifespan
        self._receive = receive
        self._send = send
        self._startup: Message | None = None  #: until the second app takes it
        self._answer: Message | None = None  #: of the second app, to the startup
        self._last: Message = {"type": "lifespan.shutdown.complete"}

    async def run(self, scope: Scope) -> None:
        """Start both, and end both."""
        self._startup = await self._receive()
        try:
            async with self._lifespan():
                await self._run_other(scope)
        except Exception as error:  # whatever it is, the server has to hear of it
            kind = "startup" if self._answer is None else "shutdown"
            await self._send({"type": f"lifespan.{kind}.failed", "message": str(error)})
            raise
        if self._answer is not None and self._answer["type"] == "lifespan.startup.complete":
            await self._send(self._last)

    async def _run_other(self, scope: Scope) -> None:
        try:
            await self._other(scope, self._pass_in, self._pass_out)
        except Exception:  # the ASGI specification: an app that raises here has no lifespan, and is served without
            if self._answer is not None:
                raise
        if self._answer is None:
            await self._pass_out({"type": "lifespan.startup.complete"})
            await self._receive()

    async def _pass_in(self) -> Message:
        if self._startup is not None:
            message, self._startup = self._startup, None
            return message
        return await self._receive()

    async def _pass_out(self, message: Message) -> None:
        """Pass on the answer to the startup; the one to the shutdown waits until the first app has ended."""
        if self._answer is None:
            self._answer = message
            await self._send(message)
        else:
            self._last = message
