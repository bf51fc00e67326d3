"""What a posted state means: a claim against a thread that is known, the first state of one that is not."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from statecast import Agent, create_app
from statecast.state import Json
from statecast.testing import Result, TestClient
from tests.transport.held_agent import NOTE, held, said

pytestmark = pytest.mark.anyio


def snapshots(result: Result) -> list[Json]:
    """Return every whole state that the stream carried."""
    operations = [operation for chunk in result.chunks for operation in chunk.get("operations", [])]
    return [operation["value"] for operation in operations if operation["path"] == []]


async def test_a_claim_that_agrees_gets_only_what_is_new() -> None:
    async with TestClient(held()[0]) as client:
        first = await client.run(NOTE, state={"a": 1, "b": 2}, thread_id="t")
        second = await client.run(NOTE, state={"notes": ["noted"], "b": 2.0, "a": 1}, thread_id="t")

    assert snapshots(second) == []
    assert second.state == {"a": 1, "b": 2, "notes": ["noted", "noted"]} == {**first.state, "notes": ["noted"] * 2}


@pytest.mark.parametrize(
    "claim",
    [{"state": {"notes": ["else"]}}, {"state": None}, {}, {"state": {"notes": [True]}}, {"state": [[["deep"]]]}],
    ids=["different", "null", "absent", "of another type", "of another shape"],
)
async def test_any_other_claim_gets_a_snapshot_first(claim: dict[str, Json]) -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        second = await client.run(NOTE, thread_id="t", **claim)

    first = second.chunks[0]["operations"][0]
    assert (first["type"], first["path"]) == ("set", [])
    assert second.state == {"notes": ["noted", "noted"]}


async def test_true_is_not_one_in_a_claim() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, state={"a": 1}, thread_id="t")
        assert snapshots(await client.run(state={"a": True, "notes": ["noted"]}, thread_id="t")) != []
        assert snapshots(await client.run(state={"a": 1.0, "notes": ["noted"]}, thread_id="t")) == []


async def test_a_claim_that_is_not_used_is_not_validated() -> None:
    class State(msgspec.Struct):
        notes: list[str] = []

    async with TestClient(held(state=State)[0]) as client:
        await client.run(NOTE, thread_id="t")
        result = await client.run(NOTE, state={"notes": 5, "__proto__": 2**60}, thread_id="t")

    assert (result.error, result.state) == (None, {"notes": ["noted", "noted"]})


async def test_an_unknown_thread_adopts_the_posted_state() -> None:
    async with TestClient(held()[0]) as client:
        for thread_id in ("t", None):
            result = await client.run(NOTE, state={"mine": 1}, thread_id=thread_id)
            assert result.state == {"mine": 1, "notes": ["noted"]}
            assert snapshots(result) == []


async def test_an_app_may_forbid_adoption() -> None:
    agent, _ = held(adopt=False, initial={"ours": 1})
    async with TestClient(agent) as client:
        result = await client.run(NOTE, state={"mine": 1}, thread_id="t")

    assert len(snapshots(result)) == 1
    assert result.state == {"ours": 1, "notes": ["noted"]}


@pytest.mark.parametrize("claim", [{}, {"state": None}], ids=["absent", "null"])
async def test_without_a_state_a_new_thread_starts_with_the_agents_own(claim: dict[str, Json]) -> None:
    agent, _ = held(initial=lambda: {"ours": 1})
    async with TestClient(agent) as client:
        assert (await client.run(NOTE, thread_id="t", **claim)).state == {"ours": 1, "notes": ["noted"]}


async def test_a_state_of_the_wrong_type_is_refused_and_makes_no_thread() -> None:
    class State(msgspec.Struct):
        notes: list[str] = []

    async with TestClient(held(state=State)[0]) as client:
        refused = await client.run(NOTE, state={"notes": [1]}, thread_id="t")
        known = await client.get("/status/t")

    assert (refused.status, refused.code) == (422, "invalid_state")
    assert "State" in (refused.error or {})["message"]
    assert known.status == 404


async def test_of_two_first_requests_for_one_id_one_is_adopted() -> None:
    results: dict[str, Any] = {}
    async with TestClient(held()[0]) as client, anyio.create_task_group() as tasks:

        async def ask(name: str) -> None:
            results[name] = await client.run(NOTE, state={"who": name}, thread_id="t")

        tasks.start_soon(ask, "one")
        tasks.start_soon(ask, "two")

    (adopted,) = {result.state["who"] for result in results.values()}
    other = results["two" if adopted == "one" else "one"]
    assert snapshots(results[adopted]) == []
    assert [state["who"] for state in snapshots(other)] == [adopted]
    assert other.state == {"who": adopted, "notes": ["noted", "noted"]}


async def test_no_commands_bring_a_client_up_to_date() -> None:
    async with TestClient(held()[0]) as client:
        known = await client.run(NOTE, thread_id="t")
        agrees = await client.run(state=known.state, thread_id="t")
        differs = await client.run(state={}, thread_id="t")

    assert (agrees.chunks, agrees.error) == ([], None)
    assert differs.state == known.state
    assert "statecast-run-id" not in agrees.headers


@pytest.mark.parametrize("claim", [{"state": {"messages": []}}, {}], ids=["agreeing", "absent"])
async def test_the_first_frame_shows_what_the_user_said(claim: dict[str, Json]) -> None:
    agent, release = held()
    body = {"commands": [said("hello"), {"type": "hold"}], "threadId": "t", **claim}
    async with (
        TestClient(create_app(agent)) as client,
        client.stream("POST", "/assistant?protocol=assistant-transport", json=body) as response,
    ):
        assert b'"text":"hello"' in await anext(response)
        release.set()
        await response.read()


async def test_a_stale_tab_deletes_nothing_that_it_has_not_seen() -> None:
    async with TestClient(Agent()) as client:
        one = await client.run(said("one"), thread_id="t")
        two = await client.run(said("two"), state=one.state, thread_id="t")
        first = two.state["messages"][0]["id"]

        stale = await client.run(said("three", parentId=first), state=one.state, thread_id="t")
        assert [message["parts"][0]["text"] for message in stale.state["messages"]] == ["one", "two", "three"]
        fresh = await client.run(said("four", parentId=first), state=stale.state, thread_id="t")
        assert [message["parts"][0]["text"] for message in fresh.state["messages"]] == ["one", "four"]
        edit = await client.run(said("five", parentId=None, sourceId=first), state=one.state, thread_id="t")
        assert [message["parts"][0]["text"] for message in edit.state["messages"]] == ["five"]


async def test_numbers_are_the_doubles_that_a_page_makes_of_them() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, state={"large": 10**23, "notes": []}, thread_id="t")
        posted = b'{"threadId":"t","state":{"notes":["noted"],"large":1e23},"commands":[]}'
        answer = await client.post("/assistant", content=posted, headers={"content-type": "application/json"})

    assert answer.status == 200
    assert b"aui-state" not in answer.content
