"""Errors as responses: `{"error": {"code", "message", …}}`, wherever they arise."""

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

from statecast.http.errors import MethodNotAllowed, NotFound, http_error
from statecast.protocol.errors import ErrorForm, InternalError, RequestError, plain_form
from statecast.threads.errors import ServerStopping

from .statuses import headers_of, status_of, status_of_class

__all__ = ["Errors", "FormRoute", "deny", "error_response", "json_response", "request_error"]

#: Characters of a path that an error repeats.
MAX_PATH: Final = 200


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as a JSON response."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def error_response(error: RequestError, form: Callable[[RequestError], ErrorForm] = plain_form) -> Response:
    """Return the response that says what was refused and why, in the form of a protocol."""
    error_form = form(error)
    status = status_of(error) if error_form.like is None else status_of_class(error_form.like)
    return json_response(error_form.body, status=status, headers={**headers_of(error), **error_form.headers})


async def deny(socket: WebSocket, error: RequestError) -> None:
    """Refuse a WebSocket during its handshake, with a refused request's status and body if the server can send them."""
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(error_response(error))
    else:
        await socket.close(4000 + status_of(error))


class FormRoute(Route):
    """A route whose errors have a form of their own.

    Args:
        path: As of any route.
        endpoint: Likewise.
        form: What says what was refused, and why.
        methods: That are served.
    """

    def __init__(
        self, path: str, endpoint: Any, *, form: Callable[[RequestError], ErrorForm], methods: Sequence[str]
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self._form = form

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or return an error in this API's format."""
        try:
            await super().handle(scope, receive, send)
        except InternalError:  # `Errors` answers it, and passes it on
            raise
        except (RequestError, HTTPException) as error:
            await error_response(request_error(error, scope), self._form)(scope, receive, send)


class Errors:
    """Middleware that turns exceptions into error responses.

    Streams run after this middleware has returned, so no response has begun when an exception passes.

    Args:
        app: What answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except (RequestError, HTTPException) as error:
            if scope["type"] != "http":
                raise
            await error_response(request_error(error, scope))(scope, receive, send)
            if isinstance(error, InternalError):
                raise
        except asyncio.CancelledError:
            # A server that stops cancels what still waits for its client, such as for a body that never comes.
            if scope["type"] != "http" or not scope["app"].hub.stopping:
                raise
            await error_response(ServerStopping())(scope, receive, send)
        except GeneratorExit:  # the event loop ends
            raise
        except BaseException as error:  # also an exit of the app's own code, which must not end the server
            if scope["type"] == "http":
                failure = InternalError()
                await error_response(failure)(scope, receive, send)
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"the app's own code raised {error!r}") from error


def request_error(error: RequestError | HTTPException, scope: Scope) -> RequestError:
    """Return what a request met as one of ours, also if starlette, or the app's own code, raised it."""
    if isinstance(error, RequestError):
        return error
    path = _printable(scope["path"])
    headers = error.headers or {}
    if error.status_code == 405:
        allowed = ", ".join(_methods(scope)) or headers.get("Allow", "")
        message = f"expected {allowed or 'another method'} for {path}, got {scope['method'][:20]}"
        return MethodNotAllowed(message, allowed=allowed)
    if error.status_code == 404:
        document = _printable(f"{scope.get('root_path', '')}/openapi.json")
        return NotFound(f"there is nothing at {path}; see {document} for what is served")
    return http_error(error.status_code, str(error.detail), headers)


def _methods(scope: Scope) -> list[str]:
    """Return the methods that any route serves at a request's path."""
    router: Router = scope["app"].router  # where this app is mounted, `scope["router"]` is the other's
    found = (route for route in router.routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE)
    return sorted({method for route in found for method in route.methods or ()})


def _printable(path: str) -> str:
    return path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}…"
