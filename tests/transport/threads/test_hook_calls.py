"""Hooks count as runs do, have as long as runs, and are stopped as runs are; what they raise harms nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from statecast import Agent, App, Limits, create_app
from statecast.testing import TestClient
from tests.transport.followers import posted
from tests.transport.held_agent import HOLD, held, said, until
from tests.transport.threads.test_agent_errors import RAISED

pytestmark = pytest.mark.anyio

HOOKS = {
    "title": "/threads/t/title",
    "suggest": "/threads/t/suggestions",
    "feedback": "/threads/t/messages/m1/feedback",
}
BODIES: dict[str, dict[str, Any]] = {"title": {}, "suggest": {}, "feedback": {"type": "positive"}}


def agent_with(name: str, hook: Callable[[Any], Any], **settings: Any) -> Agent:
    """Return an agent that can be held, with a hook."""
    agent = held(**settings)[0]
    getattr(agent, name)(hook)
    return agent


async def begun(client: TestClient) -> None:
    """Have a thread with a message."""
    message = said("hello", id="c1")
    message["message"]["id"] = "m1"
    await client.run(message, thread_id="t")


async def ask(client: TestClient, name: str) -> Any:
    return await client.post(HOOKS[name], json=BODIES[name])


def plain(raised: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def hook(about: Any) -> str:
        raise raised()

    return hook


def coroutine(raised: Callable[[], BaseException]) -> Callable[[Any], Any]:
    async def hook(about: Any) -> str:
        raise raised()

    return hook


def generator(raised: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def hook(about: Any) -> Iterator[str]:
        raise raised()
        yield ""

    return hook


def async_generator(raised: Callable[[], BaseException]) -> Callable[[Any], Any]:
    async def hook(about: Any) -> AsyncIterator[str]:
        raise raised()
        yield ""

    return hook


@pytest.mark.parametrize("raised", [kind for kind in RAISED if kind not in ("StopIteration", "StopAsyncIteration")])
@pytest.mark.parametrize("make", [plain, coroutine, generator, async_generator], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", HOOKS)
async def test_whatever_a_hook_raises_harms_nobody(name: str, make: Any, raised: str) -> None:
    async with TestClient(agent_with(name, make(RAISED[raised]))) as client:
        await begun(client)
        async with client.stream("POST", "/assistant", json=posted(HOLD, threadId="other")) as other:
            await other.read_until(b"held")
            failed = await ask(client, name)
            assert (failed.status, failed.json()["error"]["code"]) == (500, "agent_failed")
            assert (await client.get("/status/other")).json()["status"] == "running"
            await client.post("/cancel", json={"threadId": "other"})
            await other.read()
        assert counts(client) == (0, 0)


@pytest.mark.parametrize("name", HOOKS)
async def test_a_hook_takes_the_room_of_a_run(name: str) -> None:
    release, working = anyio.Event(), anyio.Event()

    async def hook(about: Any) -> str:
        working.set()
        await release.wait()
        return "done"

    app = create_app(agent_with(name, hook), limits=Limits(runs=1))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begun(client)
        tasks.start_soon(ask, client, name)
        await working.wait()
        assert (await client.run(said("again"), thread_id="other")).code == "server_full"
        assert (await ask(client, name)).json()["error"]["code"] == "server_full"
        release.set()
        await until(lambda: counts(client) == (0, 0))
        assert (await client.run(said("again"), thread_id="other")).error is None


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("blocked", [False, True])
async def test_a_hook_has_as_long_as_a_run(name: str, blocked: bool) -> None:
    done: list[str] = []
    gate = threading.Event()

    async def hook(about: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("tidied")

    agent = agent_with(name, (lambda about: gate.wait(60)) if blocked else hook, cancel_seconds=0.01 if blocked else 10)
    async with TestClient(create_app(agent, limits=Limits(run_seconds=0.05))) as client:
        await begun(client)
        assert (await ask(client, name)).status == 500
        gate.set()
    assert done == ([] if blocked else ["tidied"])


async def test_the_server_does_not_wait_for_a_hook_longer_than_for_a_run() -> None:
    working = anyio.Event()

    async def title(about: Any) -> str:
        working.set()
        await asyncio.sleep(60)
        return ""

    app = create_app(agent_with("title", title))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begun(client)
        tasks.start_soon(ask, client, "title")
        await working.wait()
        with anyio.fail_after(10):
            await app.hub.aclose()


def counts(client: TestClient) -> tuple[int, int]:
    """Return how many runs and hooks there are, and how many take room."""
    assert isinstance(client.app, App)
    return client.app.hub.runs, client.app.hub._runs.room._all
