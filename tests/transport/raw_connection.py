"""A connection on which a test sends what it likes, byte by byte, and reads responses as a strict client does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import h11
import msgspec

from statecast.server import Server


@dataclass(frozen=True)
class Reply:
    """A response, complete."""

    status: int
    headers: dict[str, str]  #: with names in lower case
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error that it carries."""
        return str(msgspec.json.decode(self.body)["error"]["code"])


class Raw:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._left = b""

    async def send(self, data: bytes) -> None:
        """Send bytes; what the server does not read any more is dropped."""
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def ask(
        self, target: str, *headers: str, method: str = "GET", body: bytes = b"", version: str = "1.1"
    ) -> Reply:
        """Send a request, and read its response."""
        lines = [f"{method} {target} HTTP/{version}", *(headers or ("Host: 127.0.0.1",)), "", ""]
        await self.send("\r\n".join(lines).encode("latin-1") + body)
        return await self.reply(method)

    async def reply(self, method: str = "GET") -> Reply:
        """Read one response to a request of that method.

        Raises:
            EOFError: The connection was closed before its end.
        """
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
        connection.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        connection.send(h11.EndOfMessage())
        if self._left:
            connection.receive_data(self._left)
        response: h11.Response | None = None
        body = b""
        with anyio.fail_after(10):
            while True:
                event: Any = connection.next_event()
                if event is h11.NEED_DATA:
                    data = await self.read()
                    if not data and (response is None or connection.their_state is h11.CLOSED):
                        raise EOFError(f"closed in a response, after {response} {body!r}")
                    connection.receive_data(data)
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
        assert response is not None
        self._left = connection.trailing_data[0]
        headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        return Reply(response.status_code, headers, body)

    async def until_closed(self) -> bytes:
        """Read until the server closes, and return what came."""
        said, self._left = self._left, b""
        with anyio.fail_after(10):
            while data := await self.read():
                said += data
        return said

    async def read(self) -> bytes:
        """Read what comes next; nothing at the end."""
        try:
            return await self._reader.read(65_536)
        except OSError:
            return b""


@contextlib.asynccontextmanager
async def connection(server: Server) -> AsyncIterator[Raw]:
    """Open a connection to a server, and close it afterwards."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]  # see `served`
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
