"""A load balancer that knows nothing of threads: each request goes to the next server."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from itertools import cycle
from urllib.parse import urlsplit

__all__ = ["RoundRobin"]


class RoundRobin:
    """Passes each request on to the next of some servers: an async context manager.

    A client has to make a connection for each request: its next one would reach the same server.

    Args:
        urls: Where the servers are.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.url = ""
        self.asked: list[tuple[str, str]] = []  #: the path of each request, and the server that it went to
        self._next = cycle(urls)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RoundRobin:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def servers(self, path: str) -> list[str]:
        """Return the servers that requests of a path went to, one after the other."""
        return [url for asked, url in self.asked if asked == path]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            place = next(self._next)
            self.asked.append((urlsplit(head.split(b" ", 2)[1].decode()).path, place))
            there, back = await asyncio.open_connection(urlsplit(place).hostname, urlsplit(place).port)
            writers.append(back)
            head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
            back.write(head.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            ways = [asyncio.ensure_future(pump(*way)) for way in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one end has gone, or all is over
        finally:
            for one in writers:
                one.close()
            self._tasks.discard(task)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until it ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
