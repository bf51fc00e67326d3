"""`statecast serve --workers`, as a process with children, and what it says of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["Served", "served"]

ROOT = Path(__file__).parents[2]
PATIENCE = 120  #: seconds after which a fact that does not come counts as missing

_T = TypeVar("_T")


class Served:
    """A server that was started.

    Args:
        process: The parent.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []  #: of both outputs
        self._said = asyncio.Event()
        assert process.stdout is not None
        self._reading = asyncio.create_task(self._read(process.stdout))

    async def url(self) -> str:
        """Return where it serves, once all workers do."""
        return (await self.until(lambda: self._found(r"Statecast serves .+ on (http://\S+:\d+)")))[0]

    def workers(self) -> list[int]:
        """Return the workers that there were so far."""
        return [int(pid) for pid in self._found(r"INFO: worker (\d+) accepts connections")]

    def writers(self) -> list[int]:
        """Return the writers that there were so far."""
        return [int(pid) for pid in self._found(r"INFO: process (\d+) writes .+")]

    async def until(self, find: Callable[[], _T]) -> _T:
        """Wait until something is found in what it says."""
        async with asyncio.timeout(PATIENCE):
            while not (found := find()):
                assert not self._reading.done(), f"it ended and said {self.lines}"
                self._said.clear()
                await self._said.wait()
            return found

    async def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended, with all of its children, and return its exit status."""
        async with asyncio.timeout(PATIENCE):
            await self._reading  # they all have its outputs
            return await self.process.wait()

    async def aclose(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    def _found(self, pattern: str) -> list[str]:
        return [found[1] for line in self.lines if (found := re.fullmatch(pattern, line))]

    async def _read(self, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            self.lines.append(line.decode().rstrip("\n"))
            self._said.set()
        self._said.set()


@asynccontextmanager
async def served(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """Yield a server, with the options of `statecast serve`; it is ended afterwards, with all of its children."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", "import sys; from statecast.cli import main; sys.exit(main())", "serve", *options],
        env={**os.environ, "PYTHONPATH": paths, **(environment or {})},
        cwd=folder,
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = Served(process)
    try:
        yield server
    finally:
        await server.aclose()
