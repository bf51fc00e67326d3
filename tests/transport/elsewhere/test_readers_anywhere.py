"""Readers on all processes, which come and go as they like: at one cursor they all have one state."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest

from statecast import Agent, Limits, Run, UntypedCommand
from statecast.stores import MemoryStore, NoWake, Sharing, Wake
from statecast_agents import operations
from tests.transport.elsewhere.apps import Process, processes

pytestmark = [pytest.mark.anyio]


class Deaf(Sharing):
    """A store without hints."""

    def wake(self) -> Wake:
        return NoWake()


class Reader:
    """A client that follows a thread by cursor, wherever it is let in."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self.cursor = ""
        self.state: Any = None
        self.ended: set[str] = set()
        self._seen = seen  #: by cursor, the state that the first reader had there

    def read(self, frames: bytes) -> None:
        for event in frames.decode().split("\n\n"):
            cursor, _, data = event.partition("\ndata: ")
            if not cursor.startswith("id: ") or not data:
                continue
            frame = msgspec.json.decode(data)
            if frame["type"] == "snapshot":
                self.state = frame["state"]
                self._end(frame.get("run"))
            elif frame["type"] == "update-state":
                changes = msgspec.convert(frame["operations"], list[operations.Operation])
                self.state = operations.apply(self.state, changes)
            elif frame["type"] == "run":
                self._end(frame["run"])
            self.cursor = cursor.removeprefix("id: ")
            encoded = msgspec.json.encode(self.state)
            assert self._seen.setdefault(self.cursor, encoded) == encoded

    def _end(self, run: Any) -> None:
        if run is not None and run["status"] == "completed":
            self.ended.add(run["id"])


async def follow(reader: Reader, apps: list[Process], random: Random, last: asyncio.Future[str]) -> None:
    """Follow the thread `t` until its last run has ended, from one process after another."""
    while not last.done() or last.result() not in reader.ended:
        client = random.choice(apps).client
        query = f"?cursor={reader.cursor}" if reader.cursor and random.random() < 0.9 else ""
        async with client.stream("GET", f"/threads/t/events{query}") as events:
            whole, rest = b"", b""
            for _ in range(random.randint(1, 12)):
                rest += await anext(events)
                whole, _, rest = rest.rpartition(b"\n\n")
                reader.read(whole)
                if last.done() and last.result() in reader.ended:
                    return


@pytest.mark.parametrize(("seed", "deaf"), [(1, False), (2, False), (3, True)])
async def test_readers_at_one_cursor_have_one_state(seed: int, deaf: bool) -> None:
    random = Random(seed)
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        if run.state is None:
            run.state = {"text": "", "items": []}
        for step in range(random.randint(3, 12)):
            run.state["text"] += f"{step} "
            if random.random() < 0.4:
                run.state["items"].append(step)
            if random.random() < 0.2 and run.state["items"]:
                run.state["items"].pop(0)
            await asyncio.sleep(random.choice([0, 0, 0.001, 0.003]))

    store = (Deaf if deaf else Sharing)(MemoryStore())
    limits = Limits(keep_entries=12, heartbeat_seconds=0.5)
    async with processes(agent, 3, store=store, limits=limits) as apps, asyncio.TaskGroup() as tasks:
        first = await apps[0].client.run({"type": "work"}, state=None, thread_id="t")
        assert first.status == 200
        last: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        seen: dict[str, Any] = {}
        readers = [Reader(seen) for _ in range(9)]
        for reader in readers:
            tasks.create_task(follow(reader, apps, Random(random.random()), last))
        result = first
        for _ in range(8):
            result = await random.choice(apps).client.run({"type": "work"}, thread_id="t")
            assert result.status == 200
        last.set_result(result.headers["statecast-run-id"])
    assert {msgspec.json.encode(reader.state) for reader in readers} == {msgspec.json.encode(result.state)}
