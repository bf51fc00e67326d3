"""What a short run costs, from its request to the end of its stream: counted in calls and in garbage, never timed."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from statecast import AddMessage, Agent, Run, create_app
from statecast.testing import TestClient
from tests.transport.held_agent import said

pytestmark = pytest.mark.anyio

#: Requests that are looked at, after a few that make what is made once.
REQUESTS, WARM = 20, 5

#: Calls of this library's own Python functions on the event loop that a short run may take, on a new thread or a known
#: one, by store. Some come and go by chance. About 75 are those that remember the run.
MOST_CALLS = {"memory": 840, "sqlite": 1_000}


@asynccontextmanager
async def serving(store: str, folder: Path) -> AsyncIterator[TestClient]:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("hello")

    url = store if store == "memory" else f"sqlite:///{folder / 'threads.db'}"
    async with TestClient(create_app(agent, store=url)) as client:
        yield client


async def ask(client: TestClient, thread_id: str) -> None:
    answer = await client.post("/assistant", json={"commands": [said("hi")], "threadId": thread_id, "state": {}})
    assert answer.status == 200, answer.content
    assert b"hello" in answer.content, answer.content


@contextmanager
def counted() -> Iterator[list[str]]:
    """Count the calls of this library's functions on the event loop, by their names."""
    calls: list[str] = []

    def called(frame: FrameType, event: str, argument: Any) -> None:  # as in sys
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("statecast") and module != "statecast.testing":
            calls.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize("store", MOST_CALLS)
@pytest.mark.parametrize("threads", ["new", "known"])
async def test_a_short_run_takes_few_calls(store: str, threads: str, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as client:
        for index in range(WARM):
            await ask(client, f"before-{index if threads == 'new' else 0}")
        with counted() as calls:
            for index in range(REQUESTS):
                await ask(client, f"after-{index}" if threads == "new" else "before-0")

    assert len(calls) / REQUESTS < MOST_CALLS[store], len(calls) / REQUESTS


@pytest.mark.parametrize("store", MOST_CALLS)
async def test_a_short_run_leaves_nothing_to_the_garbage_collector(store: str, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as client:
        for index in range(WARM):
            await ask(client, f"before-{index}")
        gc.collect()
        gc.disable()
        try:
            for index in range(REQUESTS):
                await ask(client, f"after-{index}")
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [type(value).__name__ for value in gc.garbage if type(value).__module__.startswith("statecast")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert not left
