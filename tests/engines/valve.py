"""A TCP proxy whose two directions can be stopped apart: what comes meanwhile is swallowed."""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["Valve"]


class Valve:
    """Passes connections on to a port of 127.0.0.1: an async context manager.

    Args:
        target: The port.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.sends = True  #: whether what clients send arrives
        self.replies = True  #: whether what the server sends arrives
        self.swallowed = 0  #: bytes
        self.target = target  #: of connections from now on
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Valve:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections, and pass everything of later ones."""
        for writer in self._writers:
            writer.transport.abort()
        self.sends = self.replies = True

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # nobody listens there
            writer.transport.abort()
            self._tasks.discard(task)
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back, "sends"), self._pump(there, writer, "replies"))
        finally:
            for one in (writer, back):
                one.close()
                self._writers.discard(one)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if getattr(self, way):
                    writer.write(data)
                    await writer.drain()
                else:
                    self.swallowed += len(data)
        writer.close()
