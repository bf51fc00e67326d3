"""`Process`: a child of the parent, with a socket between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from .control import LONGEST

__all__ = ["Process"]


class Process:
    """A process. Signals that a terminal sends to the parent do not reach it.

    Args:
        process: The process.
        reader: What it says.
        writer: What it is told.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._process = process

    @classmethod
    async def start(
        cls,
        command: Callable[[int], Sequence[str]],
        *,
        environment: Callable[[int], Mapping[str, str]] = lambda control: {},
        passed: Sequence[int] = (),
    ) -> Process:
        """Start a process.

        Args:
            command: Returns the command, given the descriptor of the process's end of the socket.
            environment: Returns what the process has beside the parent's environment, given the same.
            passed: Other descriptors that the process gets.

        Raises:
            OSError: The system has no process, or no descriptor, left for it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
            control = theirs.fileno()
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(control),
                    env={**os.environ, **environment(control)},
                    pass_fds=[*passed, control],
                    start_new_session=True,
                )
            except BaseException:
                writer.close()
                raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit status; negative: the signal that ended it."""
        return await self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, seconds: float) -> int:
        """Ask it to end, wait for so many seconds, and then end it; return its exit status."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                return await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.ended()
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket."""
        self.writer.close()
