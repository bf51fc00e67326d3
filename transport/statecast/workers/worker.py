"""`Worker`: the parent's side of a process that serves."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from typing import Final

from .control import ENVIRONMENT, Ready, Started, WriterAt, WriterNeeded, decode, encode
from .process import Process
from .writers import Writers

__all__ = ["Worker"]

#: Seconds beyond those that a worker says it takes to end.
MORE: Final = 3.0

#: Seconds that a worker may take to end before it is known.
UNKNOWN: Final = 30.0

_log: Final = logging.getLogger("statecast")


class Worker:
    """A worker.

    Args:
        process: Its process.
        writers: For the files that it needs.
    """

    def __init__(self, process: Process, writers: Writers) -> None:
        self.process = process
        self.agents: Sequence[str] = ()
        self._seconds = UNKNOWN  #: that it takes to end
        self._writers = writers
        self._ready = asyncio.Event()
        self.over = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, command: Sequence[str], listening: Sequence[socket.socket], writers: Writers) -> Worker:
        """Start a worker that accepts connections on some sockets.

        Raises:
            OSError: The system has nothing left for it.
        """
        numbers = [one.fileno() for one in listening]
        process = await Process.start(
            lambda control: command,
            environment=lambda control: {ENVIRONMENT: encode(Started(numbers, control, sys.path)).decode()},
            passed=numbers,
        )
        return cls(process, writers)

    async def ready(self) -> bool:
        """Wait until it accepts connections; return False if it has ended instead."""
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ready, self.over}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self._ready.is_set()

    async def stop(self, seconds: float | None = None) -> None:
        """Ask it to end, and wait until it has: so many seconds at most, or those that it said it takes."""
        await self.process.stop(self._seconds + MORE if seconds is None else seconds)

    async def _listen(self) -> None:
        """Listen to it until it ends."""
        while line := await self.process.reader.readline():
            match decode(line):
                case Ready(agents, stopping):
                    self.agents, self._seconds = agents, stopping
                    _log.info("worker %d accepts connections", self.process.pid)
                    self._ready.set()
                case WriterNeeded(path, durable):
                    answer = WriterAt(*await self._writers.at(path, durable=durable))
                    self.process.writer.write(encode(answer) + b"\n")
        await self.process.ended()
        self.process.close()
