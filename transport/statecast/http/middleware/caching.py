"""Caching: responses depend on the caller and the page, so no cache may store one unless the response allows it."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Caching"]

#: What tells who asks. An app's `identify` may look at more; `no-store` holds whatever it looks at.
ASKER: Final = b"Authorization, Cookie"

#: What every response depends on, be it a file's: whether a page of another origin may read it.
ORIGIN: Final = b"Origin"


class Caching:
    """Add `Vary` to responses, and `Cache-Control: no-store` to those without a `Cache-Control`.

    Responses with a `max-age` are the same for everyone: files, and a page's assets.

    Args:
        app: What answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                _complete(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _complete(headers: list[tuple[bytes, bytes]]) -> None:
    caching: bytes | None = None
    varies: list[bytes] = []
    for name, value in headers:
        if name == b"cache-control":
            caching = value
        elif name == b"vary":
            varies.append(value)
    if varies:
        headers[:] = [header for header in headers if header[0] != b"vary"]
    if not any(ORIGIN in value for value in varies):
        varies.append(ORIGIN)
    if caching is None:
        headers.append((b"cache-control", b"no-store"))
    if caching is None or b"max-age" not in caching:
        varies.append(ASKER)
    headers.append((b"vary", b", ".join(varies)))
