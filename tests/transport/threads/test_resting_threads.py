"""A state that no run has worked on for a while rests as JSON text, so that idle threads take little memory."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads import registry
from statecast_agents import Document, lazy

pytestmark = pytest.mark.anyio


def counting() -> Agent:
    agent = Agent("agent", commands=["count"])

    @agent.on("count")
    async def count(run: Run, command: UntypedCommand) -> None:
        run.state["n"] += 1

    return agent


STATE = {"n": 0, "rows": [{"n": number} for number in range(1_000)]}


async def test_the_state_of_an_idle_thread_rests_and_the_next_run_goes_on_with_it() -> None:
    async with TestClient(app := create_app(counting())) as client:
        await client.run({"type": "count"}, state=STATE, thread_id="t")
        threads = app.hub.registry
        (thread,) = threads
        await threads.rest_idle(thread.used + registry.RESTS_AFTER / 2)
        assert not thread.rests
        await threads.rest_idle(thread.used + registry.RESTS_AFTER)
        assert thread.rests
        assert thread.snapshot()[1] == msgspec.json.encode({**STATE, "n": 1})
        assert thread.size == len(thread.snapshot()[1])

        answer = await client.run({"type": "count"}, thread_id="t")
        assert answer.state == {**STATE, "n": 2}
        assert not thread.rests


async def test_the_oldest_states_rest_at_once_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(app := create_app(counting())) as client:
        for name in "abcd":
            await client.run({"type": "count"}, state=STATE, thread_id=name)
        threads = app.hub.registry
        monkeypatch.setattr(registry, "HELD", 2.5 * len(msgspec.json.encode(STATE)))
        await threads.rest_idle(time.monotonic())
        assert {thread.id: thread.rests for thread in threads} == {"a": True, "b": True, "c": False, "d": False}


async def test_a_run_on_a_large_thread_costs_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    node_of = lazy.node_of

    def counted(value: Any, *args: Any) -> Any:
        made.append(value)
        return node_of(value, *args)

    async with TestClient(app := create_app(counting())) as client:
        await client.run({"type": "count"}, state=STATE, thread_id="t")
        (thread,) = app.hub.registry
        before: Any = thread.document.plain()
        with monkeypatch.context() as patch:
            patch.setattr(lazy, "node_of", counted)
            patch.setattr("statecast_agents.document.node_of", counted)
            patch.setattr(Document, "rest", None)
            await client.run({"type": "count"}, thread_id="t")
            assert len(made) < 10
        after: Any = thread.document.plain()
        assert after["rows"] is before["rows"]
