"""The servers of a story: a hub each, in a process that can be killed, paused and cut off; and requests to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final, TypeVar

from statecast import Agent, Limits, Run, UntypedCommand
from statecast.protocol.errors import RequestError
from statecast.stores import StoreUnavailable
from statecast.threads.hub import Hub
from statecast_agents import new_id

from .connection import Connection, Network
from .loop import Process, SimulatedLoop

__all__ = ["WAY", "ConnectionLost", "Server", "Servers"]

#: Seconds after which a client gives a request up.
PATIENCE: Final = 4.0

#: Seconds of a way between a client and a server.
WAY: Final = 0.002

#: What a story need not wait for.
LIMITS: Final = Limits(heartbeat_seconds=60.0)

_T = TypeVar("_T")


class ConnectionLost(Exception):
    """A server has gone, or does not answer: what became of the request, nobody knows."""


def agents(process: str) -> dict[str, Agent]:
    """Return the agents of a process: their state says who carried out what."""

    async def count(run: Run, command: UntypedCommand) -> None:
        """Count a command by its name, and write in pieces whose names tell who wrote them."""
        name = command.body["name"]
        execution = new_id(process)
        run.state["executions"].append({"id": execution, "process": process, "run": run.id})
        counts = run.state["counts"]
        counts[name] = counts.get(name, 0) + 1
        for piece in range(command.body["pieces"]):
            run.state["text"] += f"{execution}.{piece} "
            await asyncio.sleep(command.body["pause"])
        run.state["done"].append(name)

    def first_state() -> dict[str, Any]:
        return {"counts": {}, "done": [], "executions": [], "text": ""}

    once = Agent("once", initial=first_state, writable=["/counts", "/done"], messages=None)
    again = Agent("again", initial=first_state, restartable=True, writable=["/counts", "/done"], messages=None)
    for agent in (once, again):
        agent.on("count")(count)
    return {"once": once, "again": again}


class Server:
    """A process with a hub.

    Args:
        name: Its name.
        process: The process.
        connection: Its way to the engine.
    """

    def __init__(self, name: str, process: Process, connection: Connection) -> None:
        self.name = name
        self.process = process
        self.connection = connection
        self.up = True  #: whether clients reach it
        self.hub = _hub(name, process, connection)
        self.streams: dict[asyncio.Event, None] = {}  #: what ends each stream that a client reads
        self._asked: dict[asyncio.Future[Any], None] = {}

    async def ask(self, loop: SimulatedLoop, request: Callable[[Hub], Awaitable[_T]], *, seconds: float) -> _T:
        """Return what a request returns, or raise what it raises.

        Raises:
            ConnectionLost: It did not answer within these seconds.
            RequestError: It refused.
        """
        if not self.up:
            raise ConnectionLost
        answer: asyncio.Future[_T] = loop.create_future()

        async def handle() -> None:
            try:
                result = await request(self.hub)
            except RequestError as error:
                loop.call_in(loop.world, WAY, _fail, answer, error)
            else:
                loop.call_in(loop.world, WAY, _settle, answer, result)

        loop.start(self.process, handle(), name=f"request to {self.name}")
        limit = loop.call_later(seconds, _fail, answer, ConnectionLost())
        self._asked[answer] = None
        try:
            return await answer
        finally:
            limit.cancel()
            del self._asked[answer]

    def cut(self) -> None:
        """End all connections of clients."""
        self.up = False
        for answer in self._asked:
            _fail(answer, ConnectionLost())
        for stream in self.streams:
            stream.set()


class Servers:
    """All servers.

    Args:
        loop: The event loop.
        network: Their way to the engine.
        random: Which server a client asks, and how fast clocks go.
    """

    def __init__(self, loop: SimulatedLoop, network: Network, random: Random) -> None:
        self.loop = loop
        self.network = network
        self.random = random
        self.all: list[Server] = []  #: those that run
        self.gone: list[Server] = []

    def add(self, name: str) -> Server:
        """Start a server; it takes requests at once, and waits for the engine with them."""
        process = Process(name, self.loop, rate=self.random.uniform(0.98, 1.02))
        server = Server(name, process, self.network.connect(process))
        self.all.append(server)
        self.loop.start(process, _opened(server.hub), name=f"start of {name}")
        return server

    def one(self) -> Server:
        """Return one of them.

        Raises:
            ConnectionLost: There is none.
        """
        if not self.all:
            raise ConnectionLost
        return self.all[int(self.random.random() * len(self.all))]

    async def ask(self, request: Callable[[Hub], Awaitable[_T]], *, seconds: float = PATIENCE) -> _T:
        """Ask one of them."""
        return await self.one().ask(self.loop, request, seconds=seconds)

    def kill(self, server: Server) -> None:
        """Kill a server."""
        self.all.remove(server)
        self.gone.append(server)
        server.process.kill()
        server.cut()


async def _opened(hub: Hub) -> None:
    """Start a hub, as the lifespan of an app does; where the engine is away, the first request does."""
    with contextlib.suppress(StoreUnavailable):
        await hub.start()


def _hub(name: str, process: Process, store: Connection) -> Hub:
    return Hub(agents(name), store=store, limits=LIMITS, clock=process.clock)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _settle(answer: asyncio.Future[_T], result: _T) -> None:
    if not answer.done():
        answer.set_result(result)
