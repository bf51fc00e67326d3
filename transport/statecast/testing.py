"""`TestClient`: talk to an ASGI app in this process, streams that never end included.

    async with Client(agent) as client:
        result = await client.run("hello")
    assert result.state["messages"][-1]["role"] == "assistant"

Rule: the app's `send` returns when its client has read the piece. So a client that stops reading is one that does not
ask for the next piece, and what the app does meanwhile is what it would do behind a full socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TypeAlias, TypedDict, Unpack
from urllib.parse import unquote

import anyio
import msgspec

from statecast.protocol.assistant_transport import events as assistant_transport
from statecast_agents import Agent, Command, Json, operations

from .http import create_app

__all__ = ["ASGIApp", "Body", "Response", "Result", "TestClient"]

#: Seconds until a client gives an app up that is silent, does not start or stop, or goes on when its client has left: a
#: test that would hang fails instead.
PATIENCE: Final = 10.0

_Message: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


class Body(TypedDict, total=False):
    """The options of a request."""

    json: Json  #: the body; sent with its content type, unless `headers` has another
    content: bytes | AsyncIterable[bytes]  #: the body, if it is not JSON; in pieces, if it is to arrive so
    headers: Mapping[str, str]  #: beside those of the client


@dataclass(frozen=True)
class Result:
    """What a client has received when its request has ended. A refused one has an `error` and no chunks."""

    status: int  #: of the response
    headers: Mapping[str, str]  #: of the response, with names in lower case
    state: Json  #: what the client's state became, operation by operation
    chunks: Sequence[Mapping[str, Json]]  #: everything that the stream carried, in order
    error: Mapping[str, Json] | None  #: `{"code", "message", …}`: a refusal, a failed run, or a stream cut off

    @property
    def thread_id(self) -> str:
        """The thread's id, for the next request."""
        return self.headers["statecast-thread-id"]

    @property
    def code(self) -> str | None:
        """The error's code; None if there was no error."""
        return None if self.error is None else self.error["code"]


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
        self._failure: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            with anyio.fail_after(PATIENCE):
                piece = await self._pieces.receive()
        except anyio.EndOfStream:
            if not self._over.is_set():
                raise EOFError("expected the end of the response, got none") from self._failure
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

    async def _perform(self, app: ASGIApp, scope: _Message) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:  # raised again where the request was made
            self._failure = error
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

    async def _head(self) -> None:
        with anyio.fail_after(PATIENCE):
            await self._started.wait()
        if not self.status:
            raise EOFError("expected a response, got none") from self._failure

    async def _leave(self, task: asyncio.Task[None]) -> None:
        self._over.set()
        self._pieces.close()
        with anyio.fail_after(PATIENCE, shield=True):
            await task


class TestClient:
    """A client of an ASGI app in this process: an async context manager that runs the app's lifespan.

    Args:
        app: The app; or an agent, to be served with all defaults.
        headers: Sent with every request.
        lifespan: Whether the app is told of its start and its end; many apps do not tell what they mount.
        raise_app_exceptions: Whether what the app raises is raised here too, beside the 500 that answers it.
    """

    __test__ = False  #: for pytest: it is no class of tests, whatever its name

    def __init__(
        self,
        app: ASGIApp | Agent,
        *,
        headers: Mapping[str, str] | None = None,
        lifespan: bool = True,
        raise_app_exceptions: bool = True,
    ) -> None:
        self.app: ASGIApp = create_app(app) if isinstance(app, Agent) else app
        self._headers: dict[str, str] = {"host": "127.0.0.1", **(headers or {})}
        self._raise = raise_app_exceptions
        self._life = _lifespan(self.app) if lifespan else contextlib.nullcontext()

    async def __aenter__(self) -> TestClient:
        await self._life.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._life.__aexit__(kind, error, where)

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, **body: Unpack[Body]) -> AsyncIterator[Response]:
        """Send a request, and read the response while it arrives. Leaving early loses the connection.

        Raises:
            EOFError: The app returned without a response.
            TimeoutError: It said nothing for ten seconds, or went on for ten seconds after its client had left.
        """
        content = msgspec.json.encode(body["json"]) if "json" in body else body.get("content", b"")
        headers = {"content-type": "application/json"} if "json" in body else {}
        headers |= self._headers | {name.lower(): value for name, value in body.get("headers", {}).items()}
        response = Response(_in_pieces(content))
        task = asyncio.create_task(response._perform(self.app, _scope(method, path, headers)))
        try:
            await response._head()
            yield response
        finally:
            await response._leave(task)
        if self._raise and response._failure is not None:
            raise response._failure

    async def request(self, method: str, path: str, **body: Unpack[Body]) -> Response:
        """Send a request, and read the whole response."""
        async with self.stream(method, path, **body) as response:
            await response.read()
        return response

    async def get(self, path: str, **body: Unpack[Body]) -> Response:
        """Send a GET, and read the whole response."""
        return await self.request("GET", path, **body)

    async def post(self, path: str, **body: Unpack[Body]) -> Response:
        """Send a POST, and read the whole response."""
        return await self.request("POST", path, **body)

    async def run(
        self,
        *commands: str | Command | Mapping[str, Json],
        state: Json = msgspec.UNSET,
        thread_id: str | None = None,
        path: str = "/assistant",
        **fields: Json,
    ) -> Result:
        """Send a batch of commands, and return what a client knows when the response has ended.

        Args:
            commands: Each as JSON, or as an instance of its class; a text is a message of the user.
            state: The state that the client has; left out: none.
            thread_id: The thread; None: a new one.
            path: Where to.
            fields: Of the body, beside these: `system`, `config`, …
        """
        body = {"commands": [_command(command) for command in commands], **fields}
        body |= {} if state is msgspec.UNSET else {"state": state}
        body |= {} if thread_id is None else {"threadId": thread_id}
        response = await self.post(f"{path}{'&' if '?' in path else '?'}protocol=assistant-transport", json=body)
        state = None if state is msgspec.UNSET else state
        if response.status != 200:
            return Result(response.status, response.headers, state, [], response.json()["error"])
        chunks, complete = assistant_transport.decode(response.content)
        error: dict[str, Json] | None = None
        if not complete:
            error = {"code": "cut_off", "message": "the stream ended without its end marker"}
        for chunk in chunks:
            if chunk["type"] == "update-state":
                state = operations.apply(state, msgspec.convert(chunk["operations"], list[operations.Operation]))
            elif chunk["type"] == "error":
                error = {"code": chunk.get("code"), "message": chunk["error"]}
        return Result(response.status, response.headers, state, chunks, error)


def _command(command: str | Command | Mapping[str, Json]) -> Json:
    if isinstance(command, str):
        message = {"role": "user", "parts": [{"type": "text", "text": command}]}
        return {"type": "add-message", "message": message, "parentId": None, "sourceId": None}
    return msgspec.to_builtins(command)


async def _in_pieces(content: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, and an empty one at the end."""
    if not isinstance(content, bytes):
        async for piece in content:
            yield piece
    elif content:
        yield content
    yield b""


@contextlib.asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
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


def _scope(method: str, path: str, headers: Mapping[str, str]) -> _Message:
    route, _, query = path.partition("?")
    return {
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
