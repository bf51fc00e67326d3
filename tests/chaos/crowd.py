"""Everybody who uses the threads of a server at once, and the moments at which they are all asked what they know."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.chaos.ledger import Ledger
from tests.chaos.server_process import ServerProcess
from tests.chaos.tabs import EventFollower, Follower, SocketFollower, Tab, World

PATIENCE = 120  #: seconds after which a fact that does not come counts as missing


def seeded(test: str) -> tuple[int, Random]:
    """Return the seed of a test, and what it decides by: `STATECAST_SEED`, or one made up."""
    seed = int(os.environ.get("STATECAST_SEED") or int.from_bytes(os.urandom(3)))
    return seed, Random(f"{test} {seed}")


@asynccontextmanager
async def repeatable(seed: int, served: ServerProcess) -> AsyncIterator[None]:
    """Add to whatever fails how to repeat it, and what the server said."""
    try:
        yield
    except BaseException as failure:
        failure.add_note(f"repeat with STATECAST_SEED={seed}; the server was started {served.starts} times")
        failure.add_note(f"and said: {served.errors[-5_000:].decode(errors='replace')}")
        raise


class Crowd:
    """Followers and tabs of some threads.

    Args:
        served: The server.
        random: What decides.
        up: Waits until the server can be reached, and returns where; default: directly.
    """

    def __init__(
        self, served: ServerProcess, random: Random, *, up: Callable[[], Awaitable[str]] | None = None
    ) -> None:
        self.served = served
        self.ledger = Ledger()
        self.world = World(up or served.up, self.ledger, random)
        self.threads: list[tuple[str, str]] = []
        self._followers: list[Follower] = []
        self._tabs: list[Tab] = []

    async def __aenter__(self) -> Crowd:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.world.http.aclose()

    @asynccontextmanager
    async def using(self, *threads: tuple[str, str]) -> AsyncIterator[None]:
        """Let some threads, with their agents, be used meanwhile; afterwards check what everybody knows of them."""
        followers: list[Follower] = []
        tabs: list[Tab] = []
        for thread, agent in threads:
            socket = SocketFollower(self.world, thread)
            followers += [socket, EventFollower(self.world, thread), EventFollower(self.world, thread)]
            tabs += [
                Tab(self.world, thread, agent, f"{thread}-{protocol[0]}", protocol=protocol)
                for protocol in ("data-stream", "assistant-transport")
            ]
            tabs.append(Tab(self.world, thread, agent, f"{thread}-w", socket=socket))
            self.threads.append((thread, agent))
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(follower.follow()) for follower in followers]
            using = [group.create_task(tab.use()) for tab in tabs]
            yield
            for tab in tabs:
                tab.stopping = True
            await within("all commands to be accepted", asyncio.gather(*using))
            for thread, agent in threads:
                mine = [follower for follower in followers if follower.thread == thread]
                await self._check(thread, agent, mine, [tab for tab in tabs if tab.thread == thread])
            for task in following:
                task.cancel()

    async def _check(self, thread: str, agent: str, followers: list[Follower], tabs: list[Tab]) -> None:
        known: dict[str, Any] = {}

        async def quiet() -> None:
            while True:
                status = await self.world.get(f"/status/{thread}")
                assert status is not None, f"the thread {thread} is gone"
                known.update(await self.world.get(f"/threads/{thread}/state"))
                if not status["isRunning"] and not status["queued"] and known["cursor"] == status["cursor"]:
                    return
                await asyncio.sleep(0.02)

        async def arrived() -> None:
            while any(follower.cursor != known["cursor"] for follower in followers):  # noqa: ASYNC110  # many facts
                await asyncio.sleep(0.02)

        await within(f"{thread} to be quiet", quiet())
        self.ledger.see(thread, known["cursor"], known["state"], known["run"])
        places = [follower.cursor for follower in followers]
        await within(f"{places} to arrive at {known['cursor']}", arrived())
        for follower in followers:
            assert follower.state == known["state"], f"{follower} computed {follower.state}, not {known['state']}"
        for tab in tabs:
            if not tab.follows:
                await within(f"{tab.name} to catch up", tab.catch_up())
                assert tab.state == known["state"], f"{tab.name} computed {tab.state}, not {known['state']}"
        self.ledger.check(thread, known["state"], again=agent == "again")


async def within(fact: str, coming: Awaitable[object]) -> None:
    """Wait for a fact."""
    try:
        async with asyncio.timeout(PATIENCE):
            await coming
    except TimeoutError:
        raise AssertionError(f"expected {fact} within {PATIENCE} s") from None
