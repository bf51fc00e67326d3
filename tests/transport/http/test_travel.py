"""Earlier revisions: a reader begins where a history begins, and a thread goes on from any revision of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from statecast import AddMessage, Agent, Limits, Run, create_app
from statecast.stores import Store
from statecast.testing import Response, TestClient
from statecast_agents import Json
from tests.transport.followers import Follower, View, following, state_of, store_of

pytestmark = pytest.mark.anyio

STORES = ["memory", "shared", "sqlite"]

#: Logs that are compacted after some messages.
SHORT = Limits(keep_entries=4, keep_bytes=4_000)


def writer() -> Agent:
    """Return an agent that answers with the text it gets, word by word, and remembers how many there were."""
    agent = Agent("writer", initial={"messages": [], "words": 0})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        text = str(command.message.parts[0]["text"])
        message = run.messages.assistant()
        for word in text.split():
            message.append_text(f"{word} ")
            run.state["words"] += 1
            await anyio.lowlevel.checkpoint()
        run.memory["seen"] = [*run.memory.get("seen", []), text]
        run.state["memory"] = run.memory["seen"]

    return agent


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return store_of(request.param, tmp_path)


async def said(client: TestClient, *texts: str, thread_id: str = "t") -> None:
    for text in texts:
        await client.run(text, thread_id=thread_id)


async def read_history(client: TestClient, thread_id: str = "t") -> Follower:
    """Read a thread from where its history begins until now."""
    now = (await client.get(f"/threads/{thread_id}/state")).json()["revision"]
    async with following(client, thread_id, query="?cursor=start") as follower:
        with anyio.fail_after(20):
            return await follower.until(lambda view: view.revision >= now)


async def fork(client: TestClient, revision: int, thread_id: str = "t", **more: Any) -> Response:
    return await client.post(f"/threads/{thread_id}/fork", json={"revision": revision, **more})


async def rewind(client: TestClient, revision: int, thread_id: str = "t", **more: Any) -> Response:
    return await client.post(f"/threads/{thread_id}/rewind", json={"revision": revision, **more})


def states_of(view: View) -> dict[int, Json]:
    """Return the state at each revision that a reader has seen."""
    states: dict[int, Json] = {}
    replayed = View()
    for frame, cursor in zip(view.frames, view.cursors, strict=True):
        replayed.take(frame, cursor)
        states[replayed.revision] = replayed.state
    return states


async def test_a_history_is_read_from_its_start(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one two", "three")
        history = await read_history(client)
        assert history.frames[0]["type"] == "snapshot"
        assert history.frames[0]["revision"] == 0
        assert [frame["revision"] for frame in history.frames] == list(range(history.revision + 1))
        assert history.state == await state_of(client)
        assert history.statuses == ["running", "completed"] * 2
        assert all(frame["at"] > 1_600_000_000_000 for frame in history.frames if frame["type"] == "run")


async def test_a_history_goes_on_with_what_happens(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one")
        async with following(client, query="?cursor=start") as follower:
            await follower.until(lambda view: view.statuses == ["running", "completed"])
            await said(client, "two")
            await follower.until(lambda view: view.statuses == ["running", "completed"] * 2)
            assert follower.state == await state_of(client)


async def test_every_revision_is_kept_across_compactions(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store, limits=SHORT)) as client:
        for number in range(12):
            await said(client, f"{number} " * 30)
        history = await read_history(client)
        states = states_of(history)
        assert sorted(states) == list(range(history.revision + 1))
        for revision in (0, 7, history.revision // 2, history.revision - 1):
            found = await client.get(f"/threads/t/state?revision={revision}")
            assert found.json()["state"] == states[revision], revision


async def test_a_fork_is_what_the_thread_was(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one", "two")
        states = states_of(await read_history(client))
        first = min(at for at, state in states.items() if state and state["words"] == 1 and "memory" in state)
        answer = await fork(client, first)
        assert answer.status == 201, answer.json()
        place = answer.json()
        assert await state_of(client, place["threadId"]) == states[first]
        await said(client, "three", thread_id=place["threadId"])
        forked = await state_of(client, place["threadId"])
        assert forked["memory"] == ["one", "three"]
        assert (await state_of(client))["memory"] == ["one", "two"]


async def test_a_rewound_thread_goes_on_from_there(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one", "two")
        states = states_of(await read_history(client))
        first = min(at for at, state in states.items() if state and state["words"] == 1 and "memory" in state)
        async with following(client) as follower:
            place = (await rewind(client, first)).json()
            assert place["revision"] > max(states)
            await follower.until(lambda view: view.revision == place["revision"])
            assert follower.state == await state_of(client) == states[first]
        await said(client, "three")
        assert (await state_of(client))["memory"] == ["one", "three"]
        again = await rewind(client, max(states))
        assert again.status == 200
        assert await state_of(client) == states[max(states)]
