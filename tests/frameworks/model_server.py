"""A model provider on this machine, in the test's event loop, for the real clients of OpenAI, Anthropic and LiteLLM.

It speaks the wire of `/v1/chat/completions`, `/v1/responses` and `/v1/messages`, streaming. Each request takes the next
turn of the script, and it notes the requests, and whether their connections were closed before it had finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .wires import SECRET, WIRES, Wire, frame

Json = Any

#: One delta of a model, as in `wires.py`, or what goes wrong: `("refuse", status)` before the response, `("cut",)` the
#: connection, `("end",)` the stream without a reason, `("hang",)`.
Delta = tuple[Any, ...]


@dataclass
class Provider:
    """The provider's side of a test."""

    script: list[Sequence[Delta]]
    url: str = ""  #: of the server
    requests: list[Json] = field(default_factory=list)  #: the bodies
    left: asyncio.Event = field(default_factory=asyncio.Event)  #: a connection was closed during an answer
    hanging: asyncio.Event = field(default_factory=asyncio.Event)  #: an answer hangs
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  #: of the connections

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a new connection."""
        self.tasks.add(asyncio.ensure_future(self.answer(reader, writer)))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's request."""
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            path = head.split()[1]
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self.requests.append(json.loads(await reader.readexactly(length)))
            turn = self.script.pop(0) if self.script else [("text", "Nothing more.")]
            if turn[0][0] == "refuse":
                self._refuse(writer, turn[0][1])
                await writer.drain()
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
            left = asyncio.ensure_future(reader.read(1))
            stream = asyncio.ensure_future(self._stream(WIRES[path](), turn, writer))
            try:
                await asyncio.wait([left, stream], return_when=asyncio.FIRST_COMPLETED)
                if not stream.done():
                    self.left.set()
            finally:
                await _end(left, stream)

    def _refuse(self, writer: asyncio.StreamWriter, status: int) -> None:
        problem = {"type": "error", "message": f"no access with the key {SECRET}", "code": "refused"}
        body = json.dumps({"type": "error", "error": problem}).encode()
        head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + body)

    async def _stream(self, wire: Wire, turn: Sequence[Delta], writer: asyncio.StreamWriter) -> None:
        for event in wire.begin():
            writer.write(_chunk(frame(event)))
        for delta in turn:
            match delta[0]:
                case "hang":
                    self.hanging.set()
                    await asyncio.Event().wait()
                case "cut":
                    return
                case "end":
                    writer.write(b"0\r\n\r\n")
                    return
                case _:
                    for event in wire.events(*delta):
                        writer.write(_chunk(frame(event)))
            await writer.drain()
            await asyncio.sleep(0)
        for event in wire.end():
            writer.write(_chunk(frame(event)))
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def provider(*script: Sequence[Delta]) -> AsyncIterator[Provider]:
    """Yield a provider whose model says `script`, one turn a request."""
    model = Provider([*script])
    server = await asyncio.start_server(model.connect, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield model
    finally:
        server.close()
        await _end(*model.tasks)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
