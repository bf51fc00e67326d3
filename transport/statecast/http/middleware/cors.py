"""Cross-origin requests: refused by default, allowed for configured origins."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from statecast.http.errors import PreflightRefused
from statecast.http.request.headers import header_of
from statecast.http.response.errors import error_response

from .refusals import Refusals

__all__ = ["Cors", "is_welcome"]

#: What the log says of a page that was refused.
REFUSED = (
    "pages of the origin %r may not use this server; allow them with --cors-origin, or cors_origins of create_app, "
    "if they are yours"
)

#: Characters of an origin that the log and the error have.
MAX_ORIGIN = 100

#: Response headers that the published clients read, and ours.
EXPOSED = (
    "Aui-Replay-Content-Length",
    "Retry-After",
    "Statecast-Cursor",
    "Statecast-Run-Id",
    "Statecast-Thread-Id",
    "X-Stream-Status",
    "x-vercel-ai-data-stream",
    "x-vercel-ai-ui-message-stream",
)


class Cors(CORSMiddleware):
    """starlette's, with its errors in the form that all others have.

    Args:
        app: What answers the requests.
        origins: Which may use it; `*` for any.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
        self._refusals = Refusals(REFUSED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] in ("http", "websocket") and header_of(scope, b"origin") is not None
        if page:
            self._check(Headers(scope=scope))
        if scope["type"] != "http" or page:
            await super().__call__(scope, receive, send)
            return

        await self.app(scope, receive, send)  # there is nothing to allow; `Caching` says that the origin counts

    def _check(self, headers: Headers) -> None:
        """Log a page of another origin, which its browser keeps from reading the answer.

        One that came through the page's own proxy may have another host; browsers say so.
        """
        origin = headers["origin"]
        same = origin.partition("://")[2] == headers.get("host") or headers.get("sec-fetch-site") == "same-origin"
        if not same and not self.is_allowed_origin(origin):
            self._refusals.log(origin[:MAX_ORIGIN])

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        origin = request_headers.get("origin", "")[:MAX_ORIGIN]
        message = (
            f'expected a request from an origin that may use this server, got "{origin}"; allow it with --cors-origin'
        )
        refused = error_response(PreflightRefused(message))
        refused.headers["vary"] = response.headers.get("vary", "Origin")
        return refused


def is_welcome(headers: Headers, origins: frozenset[str]) -> bool:
    """Return whether a request of a page may be served. Browsers let any page send some without asking first.

    Args:
        headers: The request's.
        origins: Which may, beside this server's own; `*` for any.
    """
    origin = headers.get("origin")
    if origin is None or "*" in origins or origin in origins:
        return True
    return origin.partition("://")[2] == headers.get("host")
