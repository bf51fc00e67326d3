"""What is on its way to a thread while it is deleted brings nothing of it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import About, Agent
from statecast.stores import Key
from statecast.testing import TestClient
from tests.transport.followers import store_of
from tests.transport.thread_remains import delete, is_unknown, listing

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", "shared"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return store_of(request.param, tmp_path)


async def test_a_title_that_comes_too_late_brings_no_thread_back(store: Any) -> None:
    agent, go = Agent(), anyio.Event()

    @agent.title
    async def title(about: About) -> AsyncIterator[str]:
        yield "On "
        await go.wait()
        yield "bees"

    async with TestClient(listing(agent, store=store)) as client:
        await client.post("/threads", json={"threadId": "t"})
        async with client.stream("POST", "/threads/t/title", json={}) as response:
            await response.read_until(b"On ")
            assert await delete(client) == 204
            go.set()
            await response.read()

        assert await is_unknown(client)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/threads/t/messages", {"message": {"role": "user", "content": "x"}, "parentId": None}),
        ("PATCH", "/threads/t", {"title": "x"}),
        ("POST", "/threads/t/messages/m/feedback", {"type": "positive"}),
        ("POST", "/threads/t/title", {}),
        ("DELETE", "/threads/t/messages/m", None),
    ],
)
async def test_what_is_written_while_a_thread_is_deleted_brings_nothing_back(
    store: Any, method: str, path: str, body: Any
) -> None:
    message = {"message": {"id": "m", "role": "user", "content": "x"}, "parentId": None}
    async with TestClient(listing(Agent(), store=store)) as client:
        for turns in range(20):
            await client.post("/threads", json={"threadId": "t"})
            await client.post("/threads/t/messages", json=message)
            writing = asyncio.create_task(client.request(method, path, **({} if body is None else {"json": body})))
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            assert await delete(client) == 204
            answer = await writing

            assert answer.status in (200, 204, 404), answer.content
            assert await is_unknown(client), f"after {turns} turns"


async def test_nobody_has_a_thread_alone_while_another_has() -> None:
    registry, key = listing(Agent()).hub.registry, Key(None, "t")
    inside: list[int] = []
    most: list[int] = []

    async def take(number: int) -> None:
        for _ in range(3):
            async with registry.alone(key):
                inside.append(number)
                most.append(len(inside))
                await anyio.lowlevel.checkpoint()
                inside.remove(number)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(take(number))
    assert most == [1] * 12
