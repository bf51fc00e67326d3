"""A process that is about to stop, while others share its store: what its clients follow, they follow elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from statecast.stores import Key
from statecast.threads.ownership.registry import SharedRegistry
from tests.transport.elsewhere.apps import held_by, processes
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = pytest.mark.anyio


async def test_a_process_that_drains_is_not_ready_and_ends_what_goes_on_across_runs() -> None:
    agent, release = held()
    async with processes(agent) as (one, two):
        hub = one.app.hub
        answering = asyncio.create_task(one.client.post("/assistant", json={"threadId": "t", "commands": [HOLD]}))
        await held_by(one)
        async with one.client.stream("GET", "/threads/t/events") as following:
            await following.read_until(b"held")
            hub.drain()
            await following.read()
        assert (await one.client.get("/health/ready")).status == 503
        assert (await two.client.get("/health/ready")).status == 200
        release.set()
        assert b"went on" in (await answering).content


async def test_a_stream_of_a_run_elsewhere_lasts_until_the_run_has_ended() -> None:
    agent, release = held()
    async with processes(agent) as (one, two):
        body = {"threadId": "t", "commands": [HOLD]}
        first = asyncio.create_task(one.client.post("/assistant", json=body))
        await held_by(one)
        async with two.client.stream("POST", "/resume", json={"threadId": "t"}) as resumed:
            await resumed.read_until(b"held")
            closing = asyncio.create_task(two.app.hub.aclose(grace=60))
            await until(lambda: two.app.hub.stopping)
            release.set()
            assert b"went on" in await resumed.read()
        await closing
        await first


async def test_what_is_queued_shows_while_nobody_has_the_thread() -> None:
    agent, release = held()
    async with processes(agent) as (one, two):
        registry = two.app.hub.registry
        assert isinstance(registry, SharedRegistry)
        registry._takeover._take = no_takeover  # type: ignore[method-assign]
        first = asyncio.create_task(one.client.post("/assistant", json={"threadId": "t", "commands": [HOLD]}))
        await held_by(one)
        others = [asyncio.create_task(one.client.run(NOTE, thread_id="t")) for _ in range(2)]
        await until(lambda: (thread := one.thread()) is not None and len(thread.inbox) == 2)
        closing = asyncio.create_task(one.app.hub.aclose(grace=60))
        await until(lambda: one.app.hub.stopping)
        release.set()
        await until(lambda: not one.holds())
        between = (await two.client.get("/status/t")).json()
        assert (between["status"], between["isRunning"], len(between["queued"])) == ("queued", True, 1)
        assert between["runId"] != between["queued"][0]["runId"]
        assert await registry.own(Key(None, "t")) is not None
        for each in (first, *others):
            await each
        await closing
        assert (await two.client.get("/threads/t/state")).json()["state"]["notes"] == [
            "held",
            "went on",
            "noted",
            "noted",
        ]


async def no_takeover(key: Key) -> None:
    """Leave what others leave."""
