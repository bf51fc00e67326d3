"""Errors as responses: `{"error": {"code", "message", …}}`, whatever went wrong and wherever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from statecast.protocol.errors import Refusal

__all__ = ["Errors", "FormRoute", "deny", "from_http", "json_response", "refused", "stopping"]

#: Characters of a path that an error repeats.
MAX_PATH: Final = 200


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as a JSON response."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def refused(refusal: Refusal) -> Response:
    """Return the response that says what was refused and why."""
    return json_response(refusal.body(), status=refusal.status, headers=refusal.headers)


def stopping() -> Refusal:
    """Return why a request gets nothing while the server stops."""
    return Refusal(503, "server_stopping", "the server is stopping; try again soon", retry_after=2)


async def deny(socket: WebSocket, refusal: Refusal) -> None:
    """Refuse a WebSocket before it is one: with the status and the body of a refused request, where servers can."""
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(refused(refusal))
    else:
        await socket.close(4000 + refusal.status)


class FormRoute(Route):
    """A route whose errors have a form of their own.

    Args:
        path: As of any route.
        endpoint: Likewise.
        form: Returns the response that says what was refused.
        methods: That are served.
    """

    def __init__(
        self, path: str, endpoint: Any, *, form: Callable[[Refusal], Response], methods: Sequence[str]
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self._form = form

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say what was wrong with it."""
        try:
            await super().handle(scope, receive, send)
        except (Refusal, HTTPException) as error:
            refusal = error if isinstance(error, Refusal) else from_http(error, scope)
            await self._form(refusal)(scope, receive, send)


class Errors:
    """Answers with the error what a request met instead of a response.

    Endpoints that stream do so after this has returned, so no response has begun when an error comes by.

    Args:
        app: What answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except (Refusal, HTTPException) as error:
            if scope["type"] != "http":
                raise
            refusal = error if isinstance(error, Refusal) else from_http(error, scope)
            await refused(refusal)(scope, receive, send)
        except asyncio.CancelledError:
            # A server that stops cancels what still waits for its client, such as for a body that never comes.
            if scope["type"] != "http" or not scope["app"].hub.stopping:
                raise
            await refused(stopping())(scope, receive, send)
        except GeneratorExit:  # the event loop ends
            raise
        except BaseException as error:  # also an exit of the app's own code, which must not end the server
            if scope["type"] == "http":
                failure = Refusal(500, "internal_error", "the server failed; the reason is in its log")
                await refused(failure)(scope, receive, send)
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"the app's own code raised {error!r}") from error


def from_http(error: HTTPException, scope: Scope) -> Refusal:
    """Return what starlette, or the app's own code, raised as one of ours."""
    path = _shown(scope["path"])
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed = ", ".join(_methods(scope)) or headers.get("Allow", "")
        message = f"expected {allowed or 'another method'} for {path}, got {scope['method'][:20]}"
        return Refusal(405, "method_not_allowed", message, headers=headers)
    if error.status_code == 404:
        return Refusal(404, "not_found", f"there is nothing at {path}; see /openapi.json for what is served")
    return Refusal(error.status_code, "http_error", str(error.detail), headers=headers)


def _methods(scope: Scope) -> list[str]:
    """Return the methods that are served at a request's path, by all routes together."""
    router: Router = scope["app"].router  # where this app is mounted, `scope["router"]` is the other's
    found = (route for route in router.routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE)
    return sorted({method for route in found for method in route.methods or ()})


def _shown(path: str) -> str:
    return path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}…"
