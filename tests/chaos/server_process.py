"""`statecast serve` as a process of its own, on one file, that is ended in every way and started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120  #: seconds after which a process that does not start, or does not end, counts as hanging


class ServerProcess:
    """A server on a file.

    Args:
        folder: Where the file is.
        target: What is served.
        grace: Seconds that runs get when it is asked to stop.
        durable: Whether the store of agents waits for the disk.
        store: The store of agents, if it is no file.
        environment: What the target reads beside `ECHOING_FILE`.
        workers: How many there are.
    """

    def __init__(
        self,
        folder: Path,
        target: str = "tests.chaos.echo_agents:agents",
        *,
        grace: float = 0.2,
        durable: bool = False,
        store: str | None = None,
        environment: Mapping[str, str] | None = None,
        workers: int = 1,
    ) -> None:
        self.file = folder / "threads.db"
        self.url = ""  #: where it is now; changes with every start
        self.starts = 0
        self.errors = b""  #: what all of its processes wrote to their standard error
        self._target = target
        self._grace = grace
        self._store = store or f"sqlite:///{self.file}" + ("?durable=true" if durable else "")
        self._environment = dict(environment or {})
        self._workers = workers
        self._up = asyncio.Event()  #: also set when it ends by itself, so that nobody waits for it
        self._ending = False  #: whether it was told to
        self._ended_by_itself = False
        self._process: asyncio.subprocess.Process | None = None
        self._left: tuple[int, int] | None = None  #: what the file's log was when the process was started
        self._reading: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    async def up(self) -> str:
        """Wait until it answers, and return its URL."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._up.wait()
        except TimeoutError:
            raise AssertionError(f"the server did not start within {PATIENCE} s") from None
        assert not self._ended_by_itself, "the server ended by itself"
        return self.url

    async def start(self) -> None:
        """Start the process; `up` waits until it answers."""
        command = [sys.executable, "-c", "import sys; from statecast.cli import main; sys.exit(main())", "serve"]
        options = [self._target, "--port", "0", "--grace", str(self._grace), "--workers", str(self._workers)]
        options += ["--log-level", "info" if self._workers > 1 else "warning"]  # a parent says what it starts
        if self._target.endswith(":agents"):  # an app has a store of its own
            options += ["--store", self._store]
        self._left = self._log()
        paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport", "."))
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            env={**os.environ, "PYTHONPATH": paths, "ECHOING_FILE": str(self.file), **self._environment},
            cwd=self.file.parent,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.starts += 1
        self._ending = False
        self._reading = [asyncio.create_task(self._announced()), asyncio.create_task(self._complaints())]

    async def recovering(self) -> None:
        """Wait until it has begun to write to the file; it does so before it answers, and takes up what was left."""
        async with asyncio.timeout(PATIENCE):
            while self._log() == self._left:  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.001)

    async def kill(self) -> None:
        """End it as a crash does, at whatever it is."""
        assert self._process is not None
        self._up.clear()
        self._ending = True
        self._process.kill()
        await self.ended()

    async def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        assert self._process is not None
        self._ending = True
        self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def aclose(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            if self._process.returncode is None:
                await self.kill()
            self._process = None

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit status."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE):
            status = await self._process.wait()
            await asyncio.gather(*self._reading)
        self._up.clear()
        return status

    def _log(self) -> tuple[int, int] | None:
        """Return what changes whenever something is written to the file; None if nothing ever was."""
        try:
            found = self.file.with_name(f"{self.file.name}-wal").stat()
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime_ns

    async def _announced(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            found = re.fullmatch(rb"Statecast serves .+ on (http://\S+:\d+)\n", line)
            if found:
                self.url = found[1].decode()
                self._up.set()
        if not self._ending:
            self._ended_by_itself = True
            self._up.set()

    async def _complaints(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.errors += line
