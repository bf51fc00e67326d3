"""A cluster: servers in processes of their own, each with a wire of its own to the engine that they share."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Literal, Protocol

from tests.chaos.server_process import ServerProcess
from tests.cluster.history import Measured
from tests.cluster.recorder import Recorder
from tests.cluster.wire import Wire

__all__ = ["Cluster", "Engine", "Member"]

CALMING: Final = 100  #: tenths of a second in which connections that nobody uses are closed

AGENTS: Final = "tests.cluster.counting_agents:agents"


class Engine(Protocol):
    """What the servers share: a database in processes of its own."""

    port: int

    def url(self, port: int) -> str:
        """Return the URL of the store, as it is reached over a port of this machine."""

    async def kill(self) -> None:
        """End it as a crash does."""

    async def start(self) -> None:
        """Start it again, on the same port, with what it had stored; wait until it answers."""

    def pause(self) -> None:
        """Let it do nothing, until `go_on`."""

    def go_on(self) -> None:
        """Let it go on."""


class Member:
    """One server, and its wire.

    Args:
        name: Of the process.
        folder: Where it runs.
        engine: What it stores threads in.
        target: What it serves.
        grace: Seconds that runs get when it is asked to stop.
        environment: What the target reads.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        engine: Engine,
        *,
        target: str = AGENTS,
        grace: float = 0.2,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.running = False  #: whether it is started, as far as those know who choose a server
        self._folder = folder
        self._engine = engine
        self._target = target
        self._grace = grace
        self._environment = {"CLUSTER_PROCESS": name, **(environment or {})}
        self.wire = Wire(self._address)
        self.served: ServerProcess

    async def __aenter__(self) -> Member:
        await self.wire.__aenter__()
        self._folder.mkdir(exist_ok=True)
        self.served = ServerProcess(
            self._folder,
            self._target,
            grace=self._grace,
            store=self._engine.url(self.wire.port),
            environment=self._environment,
        )
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.go_on()
        await self.served.aclose()
        await self.wire.__aexit__(*failure)

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        await self.served.start()
        await self.served.up()
        self.running = True

    async def kill(self) -> None:
        """End it as a crash does."""
        self.running = False
        await self.served.kill()

    async def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        self.running = False
        return await self.served.stop()

    def pause(self) -> None:
        """Let it do nothing, until `go_on`."""
        os.kill(self.served.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        if self.running:
            os.kill(self.served.pid, signal.SIGCONT)

    def measure(self) -> tuple[int, int]:
        """Return the bytes of memory and the number of sockets that it holds."""
        place = Path(f"/proc/{self.served.pid}")
        memory = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return memory, sum(_is_socket(file) for file in (place / "fd").iterdir())

    async def _address(self) -> tuple[str, int]:
        return "127.0.0.1", self._engine.port


class Cluster:
    """Servers over one engine: an async context manager that starts and ends them.

    Args:
        folder: Where they run.
        engine: What they share.
        random: What decides who is asked.
        size: How many servers.
        make: Makes each of them, if not as usual.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        random: Random,
        *,
        size: int = 3,
        make: Callable[[str, Path, Engine], Member] = Member,
    ) -> None:
        self.engine = engine
        self.members = [make(f"p{number}", folder / f"p{number}", engine) for number in range(size)]
        self._random = random
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Cluster:
        async with AsyncExitStack() as stack:
            for member in self.members:
                await stack.enter_async_context(member)
                await member.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, where: TracebackType | None
    ) -> None:
        self.engine.go_on()
        await self._stack.aclose()
        if failure is not None:
            failure.add_note(f"The servers said: {self.errors[-5_000:].decode(errors='replace')}")

    async def up(self) -> str:
        """Return where one of the servers is, whichever."""
        while not (running := [member for member in self.members if member.running]):  # noqa: ASYNC110  # whoever it is
            await asyncio.sleep(0.01)
        return self._random.choice(running).served.url

    def measure(self, recorder: Recorder, when: Literal["before", "after"]) -> None:
        """Record what each server holds of the machine."""
        for member in self.members:
            memory, sockets = member.measure()
            recorder.events.append(Measured(member.name, when, memory, sockets))

    async def calm(self, recorder: Recorder) -> None:
        """Record what each server holds once its connections are closed, or as it is if some stay."""
        before = {event.process: event for event in recorder.events if isinstance(event, Measured)}
        for _ in range(CALMING):
            if all(member.measure()[1] <= before[member.name].sockets for member in self.members):
                break
            await asyncio.sleep(0.1)
        self.measure(recorder, "after")

    @property
    def errors(self) -> bytes:
        """What all servers wrote to their standard error."""
        return b"".join(member.served.errors for member in self.members)


def _is_socket(file: Path) -> bool:
    try:
        return os.readlink(file).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False
