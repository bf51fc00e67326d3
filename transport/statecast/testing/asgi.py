"""An ASGI app, called as a server calls it: requests, responses while they arrive, and the lifespan.

Rule: the app's `send` returns when its client has read the piece. So a client that stops reading is one that does not
ask for the next piece, and what the app does meanwhile is what it would do behind a full socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import anyio
import msgspec

from statecast.http.request.caller import USER
from statecast_agents import Json

__all__ = ["ASGIApp", "Response", "in_pieces", "lifespan_of", "scope_of"]

#: Seconds until a client gives an app up that is silent, does not start or stop, or goes on when its client has left: a
#: test that would hang fails instead.
PATIENCE: Final = 10.0

_Message: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


class Response:
    """A response: its head, and its body while it arrives. Iterate over it for the pieces that the app sent.

    Whatever reads raises TimeoutError when nothing comes for ten seconds.
    """

    def __init__(self, upload: AsyncIterator[bytes]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  #: with names in lower case
        self.content = b""  #: as far as it has been read
        self._upload = upload
        self._sending, self._pieces = anyio.create_memory_object_stream[bytes](0)
        self._started = anyio.Event()
        self._over = anyio.Event()  #: the response is complete, or the client has gone
        self.failure: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            with anyio.fail_after(PATIENCE):
                piece = await self._pieces.receive()
        except anyio.EndOfStream:
            if not self._over.is_set():
                raise EOFError("expected the end of the response, got none") from self.failure
            raise StopAsyncIteration from None
        self.content += piece
        return piece

    async def read(self) -> bytes:
        """Read to the end, and return the whole body.

        Raises:
            EOFError: The app returned before the end.
        """
        async for _ in self:
            pass
        return self.content

    async def read_until(self, text: bytes) -> bytes:
        """Read until `text` has arrived, and return the body so far.

        Raises:
            EOFError: The response ended without it.
        """
        while text not in self.content:
            if await anext(self, None) is None:
                raise EOFError(f"expected {text!r} in the response, got {self.content!r}")
        return self.content

    def json(self) -> Json:
        """Return the body that was read so far, as JSON."""
        return msgspec.json.decode(self.content)

    async def perform(self, app: ASGIApp, scope: _Message) -> None:
        """Let the app answer the request."""
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:  # raised again where the request was made
            self.failure = error
        finally:
            self._sending.close()
            self._started.set()

    async def _receive(self) -> _Message:
        if not self._over.is_set():
            piece = await anext(self._upload, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": piece != b""}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message["headers"]:
                key = name.decode("latin-1").lower()
                before = [self.headers[key]] if key in self.headers else []
                self.headers[key] = ", ".join([*before, value.decode("latin-1")])
            self._started.set()
            return
        if message.get("body"):
            with contextlib.suppress(anyio.BrokenResourceError):  # servers drop what a client has left behind
                await self._sending.send(message["body"])
        if not message.get("more_body", False):
            self._over.set()

    async def head(self) -> None:
        """Wait for the status and the headers."""
        with anyio.fail_after(PATIENCE):
            await self._started.wait()
        if not self.status:
            raise EOFError("expected a response, got none") from self.failure

    async def leave(self, task: asyncio.Task[None]) -> None:
        """Close the connection, and wait for the app to return."""
        self._over.set()
        self._pieces.close()
        with anyio.fail_after(PATIENCE, shield=True):
            await task


async def in_pieces(content: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, and an empty one at the end."""
    if not isinstance(content, bytes):
        async for piece in content:
            yield piece
    elif content:
        yield content
    yield b""


@contextlib.asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[None]:
    """Run the lifespan of the app, if it has one, as a server does."""
    events, inbox = anyio.create_memory_object_stream[_Message](2)
    outbox, answers = anyio.create_memory_object_stream[_Message](2)

    async def live() -> None:
        with outbox, contextlib.suppress(Exception):  # it has said what there is to say, or knows no lifespan
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.receive, outbox.send)

    async def tell(event: str) -> None:
        events.send_nowait({"type": event})
        with anyio.fail_after(PATIENCE, shield=True), contextlib.suppress(anyio.EndOfStream):
            answer = await answers.receive()
            if answer["type"] != f"{event}.complete":
                raise RuntimeError(f"expected the app to say {event}.complete, got {answer}")

    with events, inbox, answers:
        living = asyncio.create_task(live())
        await tell("lifespan.startup")
        try:
            yield
        finally:
            await tell("lifespan.shutdown")
            await living


def scope_of(method: str, path: str, headers: Mapping[str, str], user: object) -> _Message:
    """Return the scope of a request; `user` sends it, unless that is None."""
    route, _, query = path.partition("?")
    return {
        **({} if user is None else {USER: user}),
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(route),
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
