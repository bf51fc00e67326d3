"""A network that fails: a TCP proxy that drops, cuts, stalls and resets connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from random import Random
from types import TracebackType

LINGER = struct.pack("ii", 1, 0)  #: close at once, with a reset


class Proxy:
    """Passes connections on, and harms them while it is `rough`: an async context manager.

    Args:
        target: Returns the URL to pass on to, once there is one.
        random: What decides.
    """

    def __init__(self, target: Callable[[], Awaitable[str]], random: Random) -> None:
        self.rough = False
        self.url = ""
        self.harm: dict[str, int] = {"cut": 0, "reset": 0, "stall": 0, "refused": 0}
        self._target = target
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def harmed(self, times: int) -> None:
        """Wait until that much harm is done."""
        while sum(self.harm.values()) < times:  # noqa: ASYNC110  # whatever it is
            await asyncio.sleep(0.01)

    def calm(self) -> None:
        """Harm nothing from now on."""
        self.rough = False

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            if self._happens("refused", 0.05):
                return
            host, _, port = (await self._target()).removeprefix("http://").partition(":")
            there, back = await asyncio.open_connection(host, int(port))
            writers.append(back)
            ways = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            reset = self.rough and self._random.random() < 0.5
            self.harm["reset"] += reset
            for one in writers:
                if reset:
                    connection: socket.socket | None = one.get_extra_info("socket")
                    if connection is not None:
                        with contextlib.suppress(OSError):
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                    one.transport.abort()
                one.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(self._random.choice([17, 400, 65_536]) if self.rough else 65_536):
            if self._happens("cut", 0.03):
                writer.write(data[: self._random.randrange(len(data))])
                await writer.drain()
                return
            if self._happens("stall", 0.02):
                long = self._random.choice([0.01, 0.1, 1])
                await asyncio.sleep(long)
                if long == 1:
                    return  # it was stalled for good
            writer.write(data)
            await writer.drain()

    def _happens(self, harm: str, chance: float) -> bool:
        happens = self.rough and self._random.random() < chance
        self.harm[harm] += happens
        return happens
