"""Everybody who uses the threads of a cluster at once, and the moments at which all is quiet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from statecast.stores import store_of
from tests.chaos.crowd import PATIENCE, within
from tests.chaos.ledger import Sent as Command
from tests.chaos.tabs import EventFollower, Follower, SocketFollower, Tab, World, client
from tests.cluster.cluster import Cluster
from tests.cluster.history import Answer, digest
from tests.cluster.recorder import Recorder

__all__ = ["Crowd"]

#: Seconds in which whoever is behind arrives, once all is quiet. The checker says who did not.
ARRIVAL: Final = 30.0

#: Of a stream's command: how often it says something, and how many seconds lie in between.
PIECES: Final = 30
PAUSE: Final = 0.05


class LongTab(Tab):
    """Sends commands that take their time, one after the other, and streams what becomes of each."""

    def _next(self, number: int) -> Command:
        name = f"{self.name}-{number}"
        body = {"type": "echo", "id": name, "name": name, "pieces": PIECES, "pause": PAUSE}
        return Command(self.thread, self.agent, self.name, number, body)


class Crowd:
    """Readers and tabs of some threads, each of whom asks another server each time.

    Args:
        cluster: The servers.
        recorder: Where what they see is noted.
        random: What decides.
    """

    def __init__(self, cluster: Cluster, recorder: Recorder, random: Random) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._random = random
        self._http = client()

    async def __aenter__(self) -> Crowd:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def using(self, *threads: tuple[str, str]) -> AsyncIterator[None]:
        """Let some threads, with their agents, be used meanwhile; afterwards note what there is of them.

        Each has three followers, and tabs that send a command after the other in three protocols.
        """
        followers: list[Follower] = []
        tabs: list[Tab] = []
        for thread, agent in threads:
            socket = SocketFollower(self._world(f"{thread}/w"), thread)
            followers += [socket, *(EventFollower(self._world(f"{thread}/{number}"), thread) for number in range(2))]
            tabs += [
                Tab(self._world(f"{thread}/{protocol[0]}"), thread, agent, f"{thread}-{protocol[0]}", protocol=protocol)
                for protocol in ("data-stream", "assistant-transport")
            ]
            tabs.append(Tab(socket.world, thread, agent, f"{thread}-w", socket=socket))
        async with self._at_work(threads, followers, tabs):
            yield

    @asynccontextmanager
    async def streaming(self, streams: int, agent: str) -> AsyncIterator[None]:
        """Let so many threads stream all the time, each to its tab and to a follower; afterwards note what there is."""
        threads = [(f"stream-{number}", agent) for number in range(streams)]
        followers = [EventFollower(self._world(f"{thread}/e"), thread) for thread, _ in threads]
        tabs = [
            LongTab(self._world(f"{thread}/t"), thread, agent, f"{thread}-t", protocol="assistant-transport")
            for thread, _ in threads
        ]
        async with self._at_work(threads, followers, tabs):
            yield

    @asynccontextmanager
    async def _at_work(
        self, threads: Sequence[tuple[str, str]], followers: Sequence[Follower], tabs: Sequence[Tab]
    ) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(follower.follow()) for follower in followers]
            using = [group.create_task(tab.use()) for tab in tabs]
            yield
            for tab in tabs:
                tab.stopping = True
            await within("all commands to be accepted", asyncio.gather(*using))
            store = store_of(self._cluster.engine.url(self._cluster.engine.port))
            await store.open()
            for thread, agent in threads:
                await self._settle(thread, agent, [each for each in followers if each.thread == thread])
                await self._recorder.replay(store, thread)
            await store.aclose()
            for task in following:
                task.cancel()

    async def accepted(self, commands: int) -> None:
        """Wait until so many more commands are accepted."""
        goal = self._accepted() + commands
        await within(f"{commands} commands to be accepted", until(lambda: self._accepted() >= goal))

    def _accepted(self) -> int:
        return sum(sent.accepted > 0 for sent in self._recorder.sent.values())

    async def _settle(self, thread: str, agent: str, followers: list[Follower]) -> None:
        """Wait until all is quiet and everybody is there, and note what each server answers."""
        known: dict[str, dict[str, Any]] = {}

        async def quiet() -> None:
            world = self._world("status")
            while True:
                status = await world.get(f"/status/{thread}")
                assert status is not None, f"the thread {thread} is gone"
                if not status["isRunning"] and not status["queued"]:
                    return
                await asyncio.sleep(0.02)

        async def agreed() -> bool:
            """Return whether all are at one cursor, and nothing that was accepted is still to be carried out."""
            for member in self._cluster.members:
                known[member.name] = await self._ask(member.served.url, f"/threads/{thread}/state")
            cursors = {answer["cursor"] for answer in known.values()} | {follower.cursor for follower in followers}
            return len(cursors) == 1 and not any(self._outstanding(thread, answer) for answer in known.values())

        await within(f"{thread} to be quiet", quiet())
        await arrived(agreed)
        for name, answer in known.items():
            epoch, _, revision = answer["cursor"].rpartition("-")
            texts = [part["text"] for message in answer["state"]["messages"] for part in message["parts"]]
            said = Counter(texts)
            self._recorder.events.append(
                Answer(
                    name,
                    thread,
                    epoch,
                    int(revision),
                    digest(answer["state"], answer["run"]),
                    {**answer["state"]["counts"], **said},
                    [*answer["state"]["done"], *texts],
                    restartable=agent == "again",
                )
            )

    def _outstanding(self, thread: str, answer: dict[str, Any]) -> bool:
        """Return whether a command was accepted whose run is neither carried out nor over, as far as was seen."""
        state, run = answer["state"], answer["run"]
        self._recorder.see_state(thread, state, run)
        done = {*state["done"], *(part["text"] for message in state["messages"] for part in message["parts"])}
        accepted = (sent for sent in self._recorder.sent.values() if sent.thread == thread and sent.accepted)
        return any(sent.name not in done and not self._recorder.is_over(sent.runs) for sent in accepted)

    async def _ask(self, url: str, path: str) -> Any:
        async def up() -> str:
            return url

        return await World(up, self._recorder.named("state"), self._random, http=self._http).get(path)

    def _world(self, reader: str) -> World:
        return World(self._cluster.up, self._recorder.named(reader), self._random, http=self._http)


async def until(there: Callable[[], bool]) -> None:
    """Wait for what others bring about."""
    while not there():  # noqa: ASYNC110  # they do not tell
        await asyncio.sleep(0.02)


async def arrived(there: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the checker looks at in any case, for as long as it may take."""
    try:
        async with asyncio.timeout(min(ARRIVAL, PATIENCE)):
            while not await there():  # noqa: ASYNC110  # it asks others
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
