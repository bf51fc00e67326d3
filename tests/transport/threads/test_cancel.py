"""Stop is a request of its own, from any client."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from statecast import Agent, AgentError, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.followers import PATH, View, following, posted
from tests.transport.held_agent import HOLD, NOTE, held, note

pytestmark = pytest.mark.anyio


def shows(view: View, run_id: str) -> bool:
    return view.run is not None and view.run["id"] == run_id


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
async def test_a_cancelled_run_ends_its_streams_normally(protocol: str) -> None:
    async with TestClient(held()[0]) as client:
        async with client.stream("POST", f"/assistant?protocol={protocol}", json=posted(HOLD)) as response:
            await response.read_until(b"held")
            answer = await client.post("/cancel", json={"threadId": "t"})
            body = await response.read()
        status = (await client.get("/status/t")).json()

    run_id = response.headers["statecast-run-id"]
    assert answer.json() == {"threadId": "t", "runId": run_id, "cancelled": True}
    assert (status["status"], status["isRunning"], status["runId"]) == ("cancelled", False, run_id)
    assert b"error" not in body
    assert b"3:" not in body
    assert body.endswith(b"data: [DONE]\n\n") == (protocol == "assistant-transport")


async def test_what_waits_behind_goes_on() -> None:
    async with TestClient(held()[0]) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            await anext(second)
            await client.post("/cancel", json={"threadId": "t"})
            assert b"noted" in await second.read()
        await first.read()


async def test_what_waits_behind_is_dropped_where_asked_for() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            await anext(second)
            await client.post("/cancel", json={"threadId": "t", "queued": True})
            assert b"noted" not in await second.read()
        await first.read()
        assert app.hub.runs == 0


async def test_whoever_follows_is_told_of_what_was_dropped_after_the_run_in_front() -> None:
    async with TestClient(held()[0]) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with following(client) as follower:
            await follower.until(lambda view: view.run)
            run_ids = [first.headers["statecast-run-id"]]
            for _ in range(2):
                async with client.stream("POST", PATH, json=posted(NOTE)) as dropped:
                    run_ids.append(dropped.headers["statecast-run-id"])
            await client.post("/cancel", json={"threadId": "t", "queued": True})
            await follower.until(lambda view: shows(view, run_ids[-1]))
        await first.read()
        told = [frame["run"] for frame in follower.frames if frame["type"] == "run"]
        assert told == [{"id": run_id, "status": "cancelled"} for run_id in run_ids]
        assert (await client.get("/threads/t/state")).json()["run"] == told[-1]


async def test_what_was_dropped_is_not_told_before_the_run_in_front_has_ended() -> None:
    """It is that run which is the thread's until then, also for who joins late, and after a crash."""
    agent, release = held()
    async with TestClient(create_app(agent, on_disconnect="cancel")) as client:
        async with client.stream("POST", PATH, json=posted(HOLD)) as first:
            await first.read_until(b"held")
            async with client.stream("POST", PATH, json=posted(NOTE)) as left:
                await anext(left)
            async with following(client) as late:
                await late.until(lambda view: view.run)
                assert late.run == {"id": first.headers["statecast-run-id"], "status": "running"}
                release.set()
                await late.until(lambda view: shows(view, left.headers["statecast-run-id"]))
            await first.read()

    assert late.statuses == ["completed", "cancelled"]
    assert late.state == {"notes": ["held", "went on"]}


async def test_nothing_active_is_nothing_to_cancel() -> None:
    async with TestClient(held()[0]) as client:
        ran = await client.run(NOTE, thread_id="t")
        answer = await client.post("/cancel", json={"threadId": "t"})

    assert answer.json() == {"threadId": "t", "runId": ran.headers["statecast-run-id"], "cancelled": False}


async def test_another_runs_id_is_refused() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        run_id = response.headers["statecast-run-id"]
        refused = await client.post("/cancel", json={"threadId": "t", "runId": "run_other"})
        assert (refused.status, refused.json()["error"]["code"]) == (409, "run_mismatch")
        assert (await client.get("/status/t")).json()["status"] == "running"
        assert (await client.post("/cancel", json={"threadId": "t", "runId": run_id})).json()["cancelled"]
        await response.read()
    assert not release.is_set()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"threadId": "unknown"}, 404, "unknown_thread"),
        ({}, 422, "thread_id_required"),
        ({"threadId": None}, 422, "thread_id_required"),
        ({"threadId": "t", "queued": "yes"}, 422, "invalid_request"),
        ({"threadId": "t", "runId": 1}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_cancelled(body: dict[str, Any], status: int, code: str) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.post("/cancel", json=body)
    assert (refused.status, refused.json()["error"]["code"]) == (status, code)


async def test_within_its_grace_an_agent_may_finish_by_itself() -> None:
    agent = Agent(cancel_grace=60)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        while not run.cancelled:
            await anyio.lowlevel.checkpoint()
        note(run, "tidied up")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as response:
        await response.read_until(b"working")
        await client.post("/cancel", json={"threadId": "t"})
        body = await response.read()
        status = (await client.get("/status/t")).json()["status"]

    assert b"tidied up" in body
    assert status == "cancelled"


async def test_after_its_grace_an_agent_is_cancelled() -> None:
    agent = Agent(cancel_grace=0.01)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        try:
            await anyio.sleep_forever()
        finally:
            note(run, f"cancelled: {run.cancelled}")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as response:
        await response.read_until(b"working")
        await client.post("/cancel", json={"threadId": "t"})
        assert b"cancelled: True" in await response.read()


async def test_a_cancelled_run_takes_its_background_tasks_with_it() -> None:
    agent = Agent()
    ended: list[str] = []

    async def beside() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("beside")

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(beside)
        note(run, "working")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as response:
        await response.read_until(b"working")
        assert (await client.get("/status/t")).json()["status"] == "running"
        await client.post("/cancel", json={"threadId": "t"})
        await response.read()
    assert ended == ["beside"]


@pytest.mark.parametrize("raised", [AgentError("stopped"), ConnectionError("the model's connection was closed")])
async def test_what_an_agent_raises_because_it_was_stopped_is_no_failure(raised: Exception) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        try:
            await anyio.sleep_forever()
        except BaseException:
            raise raised from None

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as response:
        await response.read_until(b"working")
        await client.post("/cancel", json={"threadId": "t"})
        assert b'"error"' not in await response.read()
        assert (await client.get("/status/t")).json()["status"] == "cancelled"


async def test_a_run_may_be_cancelled_twice() -> None:
    agent = Agent(cancel_grace=60)
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        await release.wait()

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as response:
        await response.read_until(b"working")
        answers = [(await client.post("/cancel", json={"threadId": "t"})).json() for _ in range(2)]
        release.set()
        await response.read()
    assert answers[0] == answers[1]
