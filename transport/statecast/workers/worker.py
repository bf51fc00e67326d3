"""`Worker`: one worker, to the parent: what it says, and what it is told.

A worker whose event loop stands still serves nobody, though the system goes on giving it connections. So each says that
its loop turns, and one that is silent for too long is ended like one that died.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from statecast.http.counted import Counted

from .control import (
    ENVIRONMENT,
    Beat,
    CountsAre,
    CountsNeeded,
    CountsOfOthers,
    Ready,
    Started,
    TellCounts,
    Told,
    WriterAt,
    WriterNeeded,
    decode_said,
    encode,
)
from .process import Process
from .together import Together
from .writers import Writers

__all__ = ["Worker"]

#: Seconds beyond those that a worker says it takes to end.
MORE: Final = 3.0

#: Seconds that a worker may take to end before it is known.
UNKNOWN: Final = 30.0

#: Heartbeats of a worker in the seconds after which it counts as hung, and seconds between two of them at most.
BEATS: Final = 10
BEAT: Final = 1.0

#: Looks at a worker, all of them in vain, until it counts as hung: the parent itself may have stood still at one.
LOOKS: Final = 4

_log: Final = logging.getLogger("statecast")


class Worker:
    """A worker.

    Args:
        process: Its process.
        writers: For the files that it needs.
        together: What all workers have counted.
        timeout: Seconds of silence after which it is ended; 0: it never is.
    """

    def __init__(self, process: Process, writers: Writers, together: Together, timeout: float) -> None:
        self.process = process
        self.agents: Sequence[str] = ()
        self._timeout = timeout
        self._seconds = UNKNOWN  #: that it takes to end
        self._writers = writers
        self._together = together
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        listening: Sequence[socket.socket],
        writers: Writers,
        *,
        together: Together | None = None,
        timeout: float = 0.0,
        again: bool = False,
    ) -> Worker:
        """Start a worker that accepts connections on some sockets; without the others, it counts alone.

        `again`: one has served before it, so that it serves also where its code does not load.

        Raises:
            OSError: The system has nothing left for it.
        """
        numbers = [one.fileno() for one in listening]
        beat = min(timeout / BEATS, BEAT) or BEAT
        process = await Process.start(
            lambda control: command,
            environment=lambda control: {
                ENVIRONMENT: encode(Started(beat, numbers, control, sys.path, again)).decode()
            },
            passed=numbers,
        )
        return cls(process, writers, together or Together(), timeout)

    async def ready(self) -> bool:
        """Wait until it accepts connections; return False if it has ended instead."""
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ready, self.over}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self._ready.is_set()

    async def stop(self, seconds: float | None = None) -> None:
        """Ask it to end, and wait until it has: so many seconds at most, or those that it said it takes."""
        await self.process.stop(self._seconds + MORE if seconds is None else seconds)

    def ask_counts(self) -> None:
        """Ask it for what it has counted; `Together` learns it."""
        self._tell(TellCounts())

    def _tell(self, message: Told) -> None:
        self.process.writer.write(encode(message) + b"\n")

    async def _listen(self) -> None:
        """Listen to it until it ends."""
        while line := await self._line():
            match decode_said(line):
                case Ready(agents, stopping):
                    self.agents, self._seconds = agents, stopping
                    _log.info("worker %d accepts connections", self.process.pid)
                    self._together.enter(self)
                    self._ready.set()
                case Beat():
                    pass
                case WriterNeeded(path, durable):
                    self._tell(WriterAt(*await self._writers.at(path, durable=durable)))
                case CountsAre(own):
                    self._together.learn(self, own)
                case CountsNeeded(own):
                    self._together.learn(self, own)
                    task = asyncio.create_task(self._tell_others())
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        await self.process.ended()
        self._together.leave(self)
        self.process.close()

    async def _line(self) -> bytes:
        """Return what it says next; nothing if it has ended, or hangs: then it is ended."""
        reader = self.process.reader
        if not self._timeout or not self._ready.is_set():
            return await reader.readline()
        for _ in range(LOOKS):
            try:
                async with asyncio.timeout(self._timeout / LOOKS):
                    return await reader.readline()
            except TimeoutError:
                continue
        _log.error(
            "worker %d hangs: its event loop was blocked for %g seconds, so it is replaced; look for blocking code in "
            "an async function",
            self.process.pid,
            self._timeout,
        )
        self.process.signal(signal.SIGKILL)
        return b""

    async def _tell_others(self) -> None:
        others: list[list[Counted]] = await self._together.others(self)
        if self.process.running:
            self._tell(CountsOfOthers(others))
