"""The wire between a server and its engine: a TCP proxy that cuts, delays or holds back each direction.

What is held back arrives later and in order, as after a partition: TCP loses nothing of a connection that lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Literal

__all__ = ["DIRECTIONS", "Direction", "Wire"]

#: "up" is from the server to the engine.
Direction = Literal["up", "down"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("up", "down")

LINGER: Final = struct.pack("ii", 1, 0)  #: close at once, with a reset


class Wire:
    """Passes connections on to an engine: an async context manager.

    Args:
        target: Returns the engine's host and port, which may change when it is started again.
    """

    def __init__(self, target: Callable[[], Awaitable[tuple[str, int]]]) -> None:
        self.port = 0
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}  #: bytes
        self.delay: dict[Direction, float] = {"up": 0.0, "down": 0.0}  #: seconds for each piece
        self._target = target
        self._open = {direction: asyncio.Event() for direction in DIRECTIONS}
        self._tasks: set[asyncio.Task[None]] = set()
        self._down = False  #: whether new connections are refused
        self.heal()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections go through it now."""
        return len(self._tasks)

    def hold(self, *directions: Direction) -> None:
        """Hold back whatever goes in some directions, until `heal`."""
        for direction in directions:
            self._open[direction].clear()

    def cut(self, *, down: bool = False) -> None:
        """Reset every connection; while it is `down`, until `heal`, no new one is made."""
        self._down = down
        for task in self._tasks:
            task.cancel()

    def heal(self) -> None:
        """Pass on everything from now on, without a delay."""
        self._down = False
        for direction in DIRECTIONS:
            self.delay[direction] = 0.0
            self._open[direction].set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            if self._down:
                return
            there, back = await asyncio.open_connection(*await self._target())
            writers.append(back)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump("up", reader, back))
                ways.create_task(self._pump("down", there, writer))
        except* (OSError, EOFError):
            pass
        except* asyncio.CancelledError:
            pass  # cut
        finally:
            for one in writers:
                reset(one)
            self._tasks.discard(task)

    async def _pump(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.delay[direction]:
                await asyncio.sleep(self.delay[direction])
            await self._open[direction].wait()
            self.passed[direction] += len(data)
            writer.write(data)
            await writer.drain()
        raise EOFError  # either end closes both


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once, so that its other end has an error rather than an end."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    writer.transport.abort()
