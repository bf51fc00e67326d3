"""What a client meets on its way: a server that goes and comes back, a network that breaks, and servers by script."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from statecast import App
from statecast.server import Server, config_for

PATIENCE = 30  # seconds until a fact that does not come fails its test


async def until(fact: Callable[[], object]) -> None:
    """Let the event loop turn until a fact is there."""
    with anyio.fail_after(PATIENCE):
        while not fact():  # noqa: ASYNC110  # not every fact has an event
            await anyio.sleep(0.005)


class Serving:
    """An app at an address that stays the same: it may stop, and another take its place."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    async def start(self, app: App) -> None:
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        started = threading.Event()
        config = config_for(app, log_level="warning")
        self._server = Server(config, app, grace=0, on_started=lambda port: started.set())
        self._thread = threading.Thread(target=partial(self._server.run, sockets=[self._listener]), name="served")
        self._thread.start()
        assert await to_thread.run_sync(started.wait, PATIENCE), "the server did not start"

    async def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            await to_thread.run_sync(self._thread.join, PATIENCE)
            assert not self._thread.is_alive(), "the server did not stop"
            self._server = self._thread = None
        self._listener.close()


@asynccontextmanager
async def serving(app: App | None = None) -> AsyncIterator[Serving]:
    server = Serving()
    try:
        if app is not None:
            await server.start(app)
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop()


class Proxy:
    """A TCP proxy that breaks what it is told to."""

    def __init__(self, port: int) -> None:
        self.connections = 0  #: so far
        self.pieces = 0  #: of responses, so far
        self.eaten = 0  #: responses that were lost
        self.cuts_after: int | None = None  #: bytes of each response
        self.frozen = False  #: whether what comes from the server stays here
        self.url = ""
        self._port = port
        self._eats: list[bytes] = []
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self._own_port = 0

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._own_port)
        self._own_port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._own_port}"

    def close(self) -> None:
        """Refuse connections, and break those there are."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection there is."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def eat(self, path: str, times: int = 1) -> None:
        """Lose the responses to the next requests to a path, and the connections with them."""
        self._eats += [path.encode()] * times

    async def leave(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            back_reader, back = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, back)
        lost = asyncio.Event()
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._there(reader, back, lost))
                group.create_task(self._back(back_reader, pair, lost))
        except* OSError:
            pass
        finally:
            self._pairs.discard(pair)
            for either in pair:
                either.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        while piece := await reader.read(65_536):
            if self._eats and self._eats[0] in piece.partition(b"\r\n")[0]:
                del self._eats[0]
                lost.set()
            back.write(piece)
            await back.drain()
        back.transport.abort()

    async def _back(
        self,
        reader: asyncio.StreamReader,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        lost: asyncio.Event,
    ) -> None:
        left = self.cuts_after
        while piece := await reader.read(65_536):
            self.pieces += 1
            while self.frozen:  # noqa: ASYNC110  # set by a test
                await asyncio.sleep(0.005)
            if left is not None:
                piece, left = piece[:left], left - len(piece)
            if lost.is_set():
                self.eaten += 1
                break
            pair[0].write(piece)
            await pair[0].drain()
            if left is not None and left <= 0:
                break
        with suppress(OSError):
            await pair[0].drain()
        pair[0].close()
        pair[1].transport.abort()


@asynccontextmanager
async def proxied(server: Serving) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.leave()


class Script:
    """A server that answers one request after the other as it was told, and keeps what it was asked."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.heads: list[str] = []  #: of the requests, in lower case
        self.url = ""
        self._answers = iter(answers)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def leave(self) -> None:
        """Close the connections that are open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.heads.append(head)
            answer = next(self._answers, None)
            if answer is None:
                await reader.read()  # until the client leaves
            else:
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()

    def header(self, index: int, name: str) -> str | None:
        """Return a header of a request."""
        lines = [line.partition(": ") for line in self.heads[index].splitlines()]
        return next((value for found, _, value in lines if found == name), None)


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Script]:
    script = Script(answers)
    server = await asyncio.start_server(script.meet, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        for _ in range(5):  # turns in which what was accepted just now is met: a closed server would leave it open
            await asyncio.sleep(0)
        server.close()
        await script.leave()


def http(status: str, body: bytes | str = b"", **headers: str) -> bytes:
    """Return a response that ends with its connection."""
    fields = {"content-type": "application/json", "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)


def events(*frames: str, ending: str = "\n") -> bytes:
    """Return a response with events, each given as `cursor data`."""
    lines = [
        line for frame in frames for line in (f"id: {frame.split(' ', 1)[0]}", f"data: {frame.split(' ', 1)[1]}", "")
    ]
    body = "".join(line + ending for line in lines)
    return http("200 OK", body, content_type="text/event-stream", statecast_thread_id="t")
