"""Two processes that share a store: whatever a client does works at the one that does not hold its thread."""

from __future__ import annotations

import asyncio

import pytest

from tests.transport.elsewhere.apps import held_by, processes
from tests.transport.held_agent import HOLD, NOTE, held, said, until

pytestmark = [pytest.mark.anyio]


async def test_a_client_of_the_other_process_sees_the_run_and_its_state() -> None:
    agent, release = held()
    async with processes(agent) as (a, b), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(a.client.run(HOLD, state=None, thread_id="t"))
        await held_by(a)
        async with b.client.stream("GET", "/threads/t/events") as events:
            await events.read_until(b'"held"')
            status = (await b.client.get("/status/t")).json()
            assert status["isRunning"] is True
            assert (await b.client.get("/threads/t/state")).json()["state"] == {"notes": ["held"]}
            release.set()
            await events.read_until(b'"completed"')
        assert b'"went on"' in events.content
        assert (await first).state == {"notes": ["held", "went on"]}
        assert (await b.client.get("/threads/t/state")).json()["state"] == {"notes": ["held", "went on"]}


async def test_a_batch_for_a_thread_that_another_process_holds_runs_there() -> None:
    agent, release = held()
    async with processes(agent) as (a, b), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.client.run(HOLD, state=None, thread_id="t"))
        await held_by(a)
        second = tasks.create_task(b.client.run(NOTE, thread_id="t"))
        await until(lambda: (thread := a.thread()) is not None and thread.inbox)
        release.set()
        result = await second
        assert result.status == 200
        assert result.state == {"notes": ["held", "went on", "noted"]}
        assert a.holds()
        assert not b.holds()


async def test_a_run_is_cancelled_from_another_process() -> None:
    agent, _ = held()
    async with processes(agent) as (a, b), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.client.run(HOLD, state=None, thread_id="t"))
        await held_by(a)
        wrong = await b.client.post("/cancel", json={"threadId": "t", "runId": "other"})
        assert wrong.status == 409
        assert wrong.json()["error"]["code"] == "run_mismatch"
        assert wrong.json()["error"]["runId"] == (await b.client.get("/status/t")).json()["runId"]
        done = await b.client.post("/cancel", json={"threadId": "t"})
        assert done.json()["cancelled"] is True
        async with b.client.stream("GET", "/threads/t/events") as events:
            await events.read_until(b'"cancelled"')


async def test_a_thread_is_patched_and_deleted_from_another_process() -> None:
    agent, _ = held(writable=["/title"])
    async with processes(agent) as (a, b):
        await a.client.run(NOTE, state={}, thread_id="t")
        assert a.holds()
        patch = [{"op": "add", "path": "/title", "value": "new"}]
        patched = await b.client.request("PATCH", "/threads/t/state", json=patch)
        assert patched.status == 200
        assert (await a.client.get("/threads/t/state")).json()["state"] == {"notes": ["noted"], "title": "new"}
        refused = await b.client.request("PATCH", "/threads/t/state", json=[{"op": "remove", "path": "/notes"}])
        assert refused.status == 403
        assert refused.json()["error"]["code"] == "not_writable"
        async with a.client.stream("GET", "/threads/t/events") as events:
            await events.read_until(b"snapshot")
            assert (await b.client.request("DELETE", "/threads/t")).status == 204
            await events.read()
        assert (await a.client.get("/threads/t/state")).status == 404
        assert (await b.client.get("/threads/t/state")).status == 404


async def test_messages_said_at_both_processes_are_in_the_thread() -> None:
    agent, _ = held()
    async with processes(agent) as (a, b):
        await a.client.run(said("one"), state={}, thread_id="t")
        result = await b.client.run(said("two"), thread_id="t")
        assert [message["parts"][0]["text"] for message in result.state["messages"]] == ["one", "two"]
