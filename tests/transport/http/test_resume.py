"""Looking at a thread, and following it again: `/resume`, `/initial-state`, `/status/{id}`, `/threads/{id}/state`."""

from __future__ import annotations

import pytest

from statecast import Agent, AgentError, Run, UntypedCommand
from statecast.protocol.assistant_transport.events import decode
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.followers import PATH, posted
from tests.transport.held_agent import HOLD, NOTE, held
from tests.transport.resuming_client import RESUME, after, first_step

pytestmark = pytest.mark.anyio


async def test_resuming_in_two_steps() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        base = await first_step(client)
        body = {"threadId": "t", "runId": base["runId"], "commands": []}
        async with client.stream("POST", RESUME, json=body) as again:
            await anext(again)
            release.set()
            assert after(base["state"], await again.read()) == {"notes": ["held", "went on"]}
        await first.read()

    run_id = first.headers["statecast-run-id"]
    assert base == {"runId": f"{run_id}@{base['runId'].rpartition('@')[2]}", "state": {"notes": ["held"]}}
    assert again.headers["statecast-run-id"] == run_id
    assert "x-stream-status" not in again.headers


async def test_resuming_in_one_step() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", RESUME, json={"threadId": "t", "state": {"stale": 1}}) as again:
            await anext(again)
            release.set()
            assert after({"stale": 1}, await again.read()) == {"notes": ["held", "went on"]}
        await first.read()


async def test_who_resumes_gets_all_parts_of_the_run() -> None:
    agent, release = held()

    @agent.on("speak")
    async def speak(run: Run, command: UntypedCommand) -> None:
        run.parts.append_text("Once upon ")
        run.state = {"notes": []}
        run.flush()
        await release.wait()
        run.parts.append_text("a time")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "speak"})) as first:
        await first.read_until(b"Once")
        async with client.stream("POST", RESUME, json={"threadId": "t"}) as again:
            await again.read_until(b"Once")
            release.set()
            chunks, _ = decode(await again.read())
        await first.read()

    assert [chunk["textDelta"] for chunk in chunks if chunk["type"] == "text-delta"] == ["Once upon ", "a time"]


async def test_another_runs_id_is_refused() -> None:
    async with TestClient(held()[0]) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        refused = await client.post("/resume", json={"threadId": "t", "runId": "run_other"})

    assert (refused.status, refused.json()["error"]["code"]) == (409, "run_mismatch")
    assert refused.headers["x-stream-status"] == "run_mismatch"


async def test_a_run_that_is_over_brings_up_to_date_and_says_how_it_ended() -> None:
    agent, _ = held()

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        raise AgentError("No luck.")

    async with TestClient(agent) as client:
        done = await client.run(NOTE, thread_id="t")
        completed = await client.post(RESUME, json={"threadId": "t", "state": {}})
        current = await client.post(RESUME, json={"threadId": "t", "state": done.state})
        await client.run({"type": "fail"}, thread_id="t")
        failed = await client.post(RESUME, json={"threadId": "t", "state": done.state})

    assert after({}, completed.content) == done.state
    assert current.content == b"data: [DONE]\n\n"
    statuses = [response.headers["x-stream-status"] for response in (completed, current, failed)]
    assert statuses == ["completed", "completed", "failed"]


@pytest.mark.parametrize(("protocol", "body"), [("assistant-transport", b"data: [DONE]\n\n"), ("data-stream", b"")])
async def test_an_unknown_thread_is_an_empty_stream(protocol: str, body: bytes) -> None:
    async with TestClient(held()[0]) as client:
        response = await client.post(f"/resume?protocol={protocol}", json={"threadId": "unknown", "runId": "x"})

    assert (response.status, response.content) == (200, body)
    assert response.headers["x-stream-status"] == "not_found"


@pytest.mark.parametrize("path", ["/resume", "/initial-state"])
@pytest.mark.parametrize("body", [{}, {"threadId": None}])
async def test_both_need_a_thread(path: str, body: Json) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.post(path, json=body)
    assert (refused.status, refused.json()["error"]["code"]) == (422, "thread_id_required")


async def test_a_resume_carries_no_commands() -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.post("/resume", json=posted(NOTE))
        assert (refused.status, refused.json()["error"]["code"]) == (422, "commands_on_resume")
        assert (await client.post("/resume", json={"threadId": "t", "commands": None})).status == 200


async def test_without_an_active_run_there_is_no_initial_state() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        for thread_id in ("t", "unknown"):
            response = await client.post("/initial-state", json={"threadId": thread_id})
            assert (response.status, response.content) == (204, b"")


async def test_the_status_of_a_thread_through_its_life() -> None:
    agent, release = held()
    async with TestClient(agent) as client:
        unknown = await client.get("/status/t")
        await client.run(thread_id="t")
        idle = (await client.get("/status/t")).json()
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
            running = (await client.get("/status/t")).json()
            release.set()
            await response.read()
        ended = (await client.get("/status/t")).json()

    run_id = response.headers["statecast-run-id"]
    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "unknown_thread")
    assert (idle["status"], idle["isRunning"], idle["runId"], idle["queued"]) == ("idle", False, None, [])
    assert (running["status"], running["isRunning"], running["runId"]) == ("running", True, run_id)
    assert (ended["status"], ended["isRunning"], ended["runId"]) == ("completed", False, run_id)
    assert idle["revision"] < running["revision"] < ended["revision"]
    assert set(ended) == {"threadId", "isRunning", "status", "runId", "revision", "cursor", "queued"}
    assert len({status["cursor"] for status in (idle, running, ended)}) == 3


async def test_the_state_of_a_thread() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.state["n"] += 1

    async with TestClient(agent) as client:
        unknown = await client.get("/threads/t/state")
        result = await client.run({"type": "work"}, thread_id="t", state={"n": 1})
        answer = (await client.get("/threads/t/state")).json()

    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "unknown_thread")
    run = {"id": result.headers["statecast-run-id"], "status": "completed"}
    assert (answer["threadId"], answer["state"], answer["run"]) == ("t", {"n": 2}, run)
    assert answer["cursor"].endswith(f"-{answer['revision']}")


async def test_a_stream_says_where_it_starts() -> None:
    async with TestClient(held()[0]) as client:
        first = await client.run(NOTE, thread_id="t")
        between = (await client.get("/threads/t/state")).json()["cursor"]
        second = await client.run(NOTE, thread_id="t")

    assert first.headers["statecast-thread-id"] == "t"
    assert first.headers["statecast-cursor"].endswith("-0")
    assert second.headers["statecast-cursor"] == between


async def test_without_an_id_a_thread_is_given_one() -> None:
    async with TestClient(held()[0]) as client:
        one, two = await client.run(NOTE), await client.run(NOTE)
        again = await client.run(NOTE, thread_id=one.thread_id)

    assert one.thread_id != two.thread_id
    assert again.state == {"notes": ["noted", "noted"]}
