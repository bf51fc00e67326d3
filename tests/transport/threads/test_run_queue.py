"""Runs on a thread never overlap, and outlive the connections that asked for them."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.held_agent import HOLD, NOTE, held, said, until

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"


def posted(*commands: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"commands": list(commands), "threadId": "t", **fields}


async def status(client: TestClient, thread_id: str = "t") -> dict[str, Any]:
    response = await client.get(f"/status/{thread_id}")
    return dict(response.json())


async def test_what_comes_during_a_run_waits_for_its_end() -> None:
    agent, release = held()
    app = create_app(agent)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted({"type": "note", "text": "later"})) as second:
            assert len((await status(client))["queued"]) == 1
            assert b"held" in await anext(second)
            release.set()
            whole = await second.read()
            await first.read()
        state = (await client.get("/threads/t/state")).json()["state"]

    assert state == {"notes": ["held", "went on", "later"]}
    assert whole.index(b"went on") < whole.index(b"later")
    assert whole.endswith(b"data: [DONE]\n\n")
    assert second.headers["statecast-run-id"] != first.headers["statecast-run-id"]


async def test_runs_never_overlap_on_one_thread_and_do_on_several() -> None:
    agent = Agent()
    under_way: list[str] = []
    most: dict[str, int] = {}
    everywhere: list[int] = []

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        under_way.append(run.thread_id)
        most[run.thread_id] = max(most.get(run.thread_id, 0), under_way.count(run.thread_id))
        everywhere.append(len(under_way))
        await anyio.sleep(0.001)
        under_way.remove(run.thread_id)

    async with TestClient(agent) as client, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(partial(client.run, {"type": "work"}, thread_id=f"t{number % 2}"))
    assert most == {"t0": 1, "t1": 1}
    assert max(everywhere) == 2
    assert len(everywhere) == 20


async def test_batches_run_in_the_order_they_were_accepted() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                command = {"type": "note", "text": str(number)}
                tasks.start_soon(partial(client.run, command, thread_id="t"))
                await until(partial(_waiting, client, number + 1))
            release.set()
        await first.read()
        notes = (await client.get("/threads/t/state")).json()["state"]["notes"]

    assert notes == ["held", "went on", "0", "1", "2", "3", "4"]


def _waiting(client: TestClient, count: int) -> bool:
    thread = _app(client).hub.loaded("t")
    return thread is not None and len(thread.inbox) == count


async def test_a_run_outlives_its_connection() -> None:
    agent, release = held()
    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
        assert (await status(client))["status"] == "running"
        release.set()
        joined = await client.post("/resume?protocol=assistant-transport", json={"threadId": "t"})

    assert b"went on" in joined.content


async def test_a_queued_run_outlives_its_connection() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            await anext(second)
        release.set()
        await first.read()
        await until(lambda: not _app(client).hub.runs)
        assert (await client.get("/threads/t/state")).json()["state"]["notes"][-1] == "noted"


def _app(client: TestClient) -> Any:
    return client.app


@pytest.mark.parametrize(
    ("app_says", "request_says", "becomes"),
    [
        ("cancel", {}, "cancelled"),
        ("continue", {"onDisconnect": "cancel"}, "cancelled"),
        ("cancel", {"onDisconnect": "continue"}, "running"),
        ("continue", {}, "running"),
    ],
)
async def test_what_a_lost_connection_does(app_says: Any, request_says: dict[str, str], becomes: str) -> None:
    agent, release = held()
    app = create_app(agent, on_disconnect=app_says)
    async with TestClient(app) as client:
        async with client.stream("POST", PATH, json=posted(HOLD, **request_says)) as response:
            await response.read_until(b"held")
        if becomes == "cancelled":
            await until(lambda: not app.hub.runs)
        assert (await status(client))["status"] == becomes
        release.set()


async def test_a_run_goes_on_while_someone_still_follows_it() -> None:
    agent, release = held()
    app = create_app(agent, on_disconnect="cancel")
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", "/resume", json={"threadId": "t"}) as second:
            await second.read_until(b"held")
        assert (await status(client))["status"] == "running"
        release.set()
        assert b"went on" in await first.read()


async def test_a_queued_run_whose_client_left_is_dropped_where_the_app_says_so() -> None:
    agent, release = held()
    async with TestClient(create_app(agent, on_disconnect="cancel")) as client:
        async with client.stream("POST", PATH, json=posted(HOLD)) as first:
            await first.read_until(b"held")
            async with client.stream("POST", PATH, json=posted(NOTE)) as second:
                await anext(second)
                assert len((await status(client))["queued"]) == 1
            assert (await status(client))["queued"] == []
            release.set()
            await first.read()
        assert (await client.get("/threads/t/state")).json()["state"] == {"notes": ["held", "went on"]}


async def test_a_finished_stream_is_no_lost_connection() -> None:
    agent, release = held()
    release.set()
    async with TestClient(create_app(agent, on_disconnect="cancel")) as client:
        await client.run(HOLD, thread_id="t")
        assert (await status(client))["status"] == "completed"


async def test_a_slow_client_slows_neither_the_agent_nor_the_others() -> None:
    agent = Agent()

    @agent.on("write")
    async def write(run: Run, command: UntypedCommand) -> None:
        run.state = {"text": ""}
        for number in range(3_000):
            run.state["text"] += f"{number} "
            run.flush()
            await anyio.lowlevel.checkpoint()

    app = create_app(agent)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted({"type": "write"})) as stalled:
        await anext(stalled)
        joined = await client.post("/resume?protocol=assistant-transport", json={"threadId": "t"})
        assert b"2999 " in joined.content
        log = (await app.hub.find("t")).log
        assert log.revision - log.start <= 2 * app.hub.limits.keep_entries
        before = len(stalled.content)
        rest = (await stalled.read())[before:]
    assert rest.count(b"append-text") < 3_000 - 2 * app.hub.limits.keep_entries + 1_100
    assert b'{"type":"set","path":[],"value":{"text":"0 1 2 ' in rest


async def test_two_first_requests_of_an_app_without_a_lifespan_both_run() -> None:
    async with TestClient(held()[0], lifespan=False) as client:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for thread_id in ("one", "two"):
                    tasks.start_soon(partial(client.run, NOTE, thread_id=thread_id))
        await _app(client).hub.aclose()


async def test_messages_of_a_batch_are_there_before_any_handler_runs() -> None:
    agent = Agent()
    seen: list[int] = []

    @agent.on("look")
    async def look(run: Run, command: UntypedCommand) -> None:
        seen.append(len(run.messages))

    async with TestClient(agent) as client:
        await client.run({"type": "look"}, said("one"), said("two"))
    assert seen == [2]
