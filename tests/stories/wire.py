"""Requests as raw as they need to be: bytes on sockets, which may be torn off, left open, or never read."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["LOST", "Answer", "Wire"]

LOST = (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError)


@dataclass
class Answer:
    """What a server said. `status` is 0 where it said nothing."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The way to one server, for one owner.

    Args:
        url: Where the server is.
        owner: Whose the requests are.
    """

    def __init__(self, url: str, owner: str) -> None:
        place = urlsplit(url)
        assert place.hostname
        assert place.port
        self._host, self._port, self._owner = place.hostname, place.port, owner

    def head(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return a request up to its body."""
        fields = {"host": f"{self._host}:{self._port}", "x-user": self._owner, "connection": "close"} | dict(
            headers or {}
        )
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def connect(self, data: bytes = b"", *, buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send some bytes; with a `buffer`, it takes no more than about that many unread."""
        line = socket.socket()
        line.setblocking(False)
        if buffer:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(line, (self._host, self._port))
            reader, writer = await asyncio.open_connection(sock=line, limit=buffer or 2**16)
        except BaseException:
            line.close()
            raise
        writer.write(data)
        return reader, writer

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        enough: float = 10,
    ) -> Answer:
        """Return the answer to a request, as far as it came within `enough` seconds; then tear the connection off."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {"content-length": str(len(data)), "content-type": "application/json"} if body is not None else {}
        found = bytearray()
        try:
            reader, writer = await self.connect(self.head(method, path, fields | dict(headers or {})) + data)
        except OSError:
            return Answer(0, b"")
        try:
            async with asyncio.timeout(enough):
                await writer.drain()
                while piece := await reader.read(2**16):
                    found += piece
        except LOST:
            pass
        finally:
            tear(writer)
        start, _, rest = bytes(found).partition(b"\r\n\r\n")
        words = start.split(b" ", 2)
        return Answer(int(words[1]) if len(words) > 1 else 0, rest)

    async def upgrade(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a WebSocket, whatever is answered."""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": key,
        }
        return await self.connect(self.head("GET", path, fields))


def tear(writer: asyncio.StreamWriter) -> None:
    """End a connection without a farewell, as a cable does that is pulled."""
    line = writer.get_extra_info("socket")
    if line is not None and not writer.is_closing():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def frame(data: bytes, *, opcode: int = 1, final: bool = True, masked: bool = True) -> bytes:
    """Return a frame of a WebSocket."""
    length = len(data)
    head = bytes([opcode | (0x80 if final else 0)])
    flag = 0x80 if masked else 0
    if length < 126:
        head += bytes([flag | length])
    elif length < 2**16:
        head += bytes([flag | 126]) + struct.pack(">H", length)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", length)
    return head + (bytes(4) if masked else b"") + data
