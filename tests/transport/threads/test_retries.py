"""A command with an id is applied at most once, whatever is retried, from whichever tab."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from statecast import create_app
from statecast.testing import TestClient
from tests.transport.held_agent import HOLD, NOTE, held, said

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"
NOTED = {**NOTE, "id": "n"}


async def test_a_retry_of_a_live_run_joins_it() -> None:
    agent, release = held()
    body = {"commands": [{**HOLD, "id": "h"}], "threadId": "t"}
    async with TestClient(agent) as client, client.stream("POST", PATH, json=body) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=body) as again:
            await again.read_until(b"held")
            release.set()
            await again.read()
        await first.read()
        notes = (await client.get("/threads/t/state")).json()["state"]["notes"]

    assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert notes == ["held", "went on"]
    assert b"went on" in again.content


async def test_a_retry_of_a_queued_run_joins_it() -> None:
    agent, release = held()
    body = {"commands": [NOTED], "threadId": "t"}
    async with (
        TestClient(agent) as client,
        client.stream("POST", PATH, json={"commands": [HOLD], "threadId": "t"}) as first,
    ):
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=body) as queued, client.stream("POST", PATH, json=body) as again:
            assert again.headers["statecast-run-id"] == queued.headers["statecast-run-id"]
            release.set()
            async with anyio.create_task_group() as tasks:
                for response in (first, queued, again):
                    tasks.start_soon(response.read)
        notes = (await client.get("/threads/t/state")).json()["state"]["notes"]
    assert notes == ["held", "went on", "noted"]


async def test_a_retry_of_an_ended_run_brings_its_client_up_to_date() -> None:
    async with TestClient(held()[0]) as client:
        first = await client.run(NOTED, thread_id="t")
        await client.run(NOTE, thread_id="t")
        stale = await client.run(NOTED, thread_id="t", state=first.state)
        current = await client.run(NOTED, thread_id="t", state=stale.state)

    assert stale.state == {"notes": ["noted", "noted"]}
    assert current.chunks == []
    assert {result.headers["statecast-run-id"] for result in (first, stale, current)} == {
        first.headers["statecast-run-id"]
    }


async def test_an_id_that_stands_for_another_command_is_refused() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTED, thread_id="t")
        refused = await client.run({**NOTED, "text": "else"}, NOTE, thread_id="t")
        state = (await client.get("/threads/t/state")).json()["state"]

    assert (refused.status, refused.code) == (409, "command_id_reused")
    assert state == {"notes": ["noted"]}


async def test_of_a_mixed_batch_only_the_new_commands_are_applied() -> None:
    async with TestClient(held()[0]) as client:
        first = await client.run(NOTED, thread_id="t")
        mixed = await client.run(NOTED, {**NOTE, "id": "m", "text": "new"}, {**NOTE, "text": "unnamed"}, thread_id="t")

    assert mixed.state == {"notes": ["noted", "new", "unnamed"]}
    assert mixed.headers["statecast-run-id"] != first.headers["statecast-run-id"]


async def test_an_id_twice_in_a_batch_is_one_command() -> None:
    async with TestClient(held()[0]) as client:
        assert (await client.run(NOTED, NOTED, thread_id="t")).state == {"notes": ["noted"]}
        twice = await client.run({**NOTE, "id": "x"}, {**NOTE, "id": "x", "text": "else"}, thread_id="t")

    assert twice.code == "command_id_reused"


async def test_ids_belong_to_their_thread() -> None:
    async with TestClient(held()[0]) as client:
        for thread_id in ("one", "two"):
            assert (await client.run(NOTED, thread_id=thread_id)).state == {"notes": ["noted"]}


async def test_a_message_said_twice_with_one_id_is_said_once() -> None:
    async with TestClient(held()[0]) as client, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(partial(client.run, said("hello", id="m"), thread_id="t"))
    async with TestClient(client.app) as client:
        state = (await client.get("/threads/t/state")).json()["state"]
    assert len(state["messages"]) == 1


async def test_what_was_refused_may_be_sent_again() -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.run(NOTED, {"type": "unheard-of"}, thread_id="t", state={"mine": 1})
        accepted = await client.run(NOTED, thread_id="t", state={"mine": 1})

    assert refused.status == 422
    assert accepted.state == {"mine": 1, "notes": ["noted"]}


@pytest.mark.parametrize(("length", "status"), [(128, 200), (129, 422)])
async def test_an_id_has_up_to_128_characters(length: int, status: int) -> None:
    async with TestClient(create_app(held()[0])) as client:
        result = await client.run({**NOTE, "id": "ü" * length})
    assert result.status == status


async def test_a_retry_of_a_failed_run_says_so_no_second_time() -> None:
    agent, _ = held()

    @agent.on("fail")
    def fail(run: Any, command: Any) -> None:
        raise LookupError

    async with TestClient(agent) as client:
        failed = await client.run({"type": "fail", "id": "f"}, thread_id="t")
        again = await client.run({"type": "fail", "id": "f"}, thread_id="t", state=None)
    assert failed.error
    assert (again.error, again.chunks) == (None, [])
