"""The runs of a thread are remembered in every store, and one that failed runs again after a restart."""

from __future__ import annotations

import pytest

from statecast import AddMessage, Agent, AgentError, Run, create_app
from statecast.testing import TestClient
from tests.stores.every_store import Make
from tests.transport.followers import until_status

pytestmark = pytest.mark.anyio


def failing_once() -> Agent:
    agent, tries = Agent(), [1]

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Hel" if tries else "Hello")
        if tries:
            tries.pop()
            raise AgentError("no ink", code="no_ink")

    return agent


async def test_a_failed_run_is_remembered_and_runs_again(make: Make) -> None:
    agent = failing_once()
    async with TestClient(create_app(agent, store=make())) as client:
        failed = (await client.run("hi", thread_id="t")).headers["statecast-run-id"]
    async with TestClient(create_app(agent, store=make())) as client:
        before = (await client.get("/threads/t/runs")).json()["runs"]
        answer = await client.post("/threads/t/retry", json={})
        await until_status(client, "completed")
        after = (await client.get("/threads/t/runs")).json()["runs"]
        state = (await client.get("/threads/t/state")).json()["state"]

    assert [(run["id"], run["status"], run["error"]["code"]) for run in before] == [(failed, "failed", "no_ink")]
    assert (answer.status, answer.json()["retries"]) == (202, failed)
    assert [run["status"] for run in after] == ["completed", "failed"]
    assert [message["parts"][0]["text"] for message in state["messages"]] == ["hi", "Hello"]
