"""Threads that are deleted, whatever happens on them: nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand
from statecast.testing import TestClient
from statecast.threads.runs import tasks
from tests.clients.serving import Restarting
from tests.transport.failing_store import Failing
from tests.transport.followers import (
    completed,
    connected,
    following,
    posted,
    served,
    state_of,
    store_of,
    until_status,
)
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until
from tests.transport.thread_remains import delete, is_unknown, listing, running

pytestmark = pytest.mark.anyio

STORES = ["memory", "sqlite", "shared"]


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return store_of(request.param, tmp_path)


# Alone


async def test_a_deleted_thread_is_unknown_and_a_new_one_of_its_id_is_empty(store: Any) -> None:
    agent, _ = held()
    async with TestClient(listing(agent, store=store)) as client:
        await client.post("/assistant", json=posted(NOTE, state={"secret": 1}))
        await client.post("/threads/t/messages", json={"message": {"id": "m", "role": "user", "content": "x"}})
        assert await state_of(client) == {"secret": 1, "notes": ["noted"]}
        assert await delete(client) == 204

        assert await is_unknown(client)
        assert await delete(client) == 404
        await client.post("/assistant", json=posted(NOTE))
        assert await state_of(client) == {"notes": ["noted"]}
        assert (await client.get("/threads/t/messages")).json()["messages"] == []


async def test_a_command_that_was_applied_before_is_new_to_a_new_thread(store: Any) -> None:
    agent, _ = held()
    async with TestClient(listing(agent, store=store)) as client:
        for _ in range(2):
            await client.post("/assistant", json=posted({**NOTE, "id": "once"}))
            assert await state_of(client) == {"notes": ["noted"]}
            assert await delete(client) == 204


async def test_only_a_card_can_be_deleted_as_well(store: Any) -> None:
    agent, _ = held()
    async with TestClient(listing(agent, store=store)) as client:
        assert (await client.post("/threads", json={"threadId": "t", "title": "Bees"})).status == 201
        assert await delete(client) == 204
        assert await is_unknown(client)


# While something happens


async def test_a_run_that_is_under_way_ends_and_is_not_heard_of_again(store: Any) -> None:
    agent, release = held()
    async with TestClient(listing(agent, store=store)) as client:
        async with running(client) as response:
            assert await delete(client) == 204
            release.set()
            await response.read()
        assert await is_unknown(client)
        assert (await client.get("/health")).json()["runs"] == 0
        assert b"went on" not in response.content


async def test_what_waits_behind_a_run_is_dropped(store: Any) -> None:
    agent, release = held()
    async with TestClient(listing(agent, store=store)) as client:
        async with running(client):
            waiting = asyncio.create_task(client.post("/assistant", json=posted(NOTE)))
            await until(lambda: client.app.hub.runs == 2)  # type: ignore[attr-defined]
            assert await delete(client) == 204
            release.set()
            await waiting
        assert await is_unknown(client)
        assert (await client.get("/health")).json()["runs"] == 0


async def test_a_run_that_waits_for_its_user_ends_too(store: Any) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await run.call_tool("ask", {})

    async with TestClient(listing(agent, store=store)) as client:
        await client.post("/assistant", json=posted(said("Hello")))
        await until_status(client, "waiting")
        assert await delete(client) == 204
        assert await is_unknown(client)


async def test_the_streams_of_those_who_follow_end(store: Any) -> None:
    agent, _ = held()
    async with TestClient(listing(agent, store=store)) as client:
        async with running(client) as response:
            async with following(client) as events, client.stream("GET", "/chat/t/stream") as chat:
                await events.until(lambda view: view.frames)
                assert chat.status == 200
                assert await delete(client) == 204
                await events.to_end()
                await chat.read()
                await response.read()
        assert (await client.get("/threads/t/events")).status == 404
        assert (await client.get("/chat/t/stream")).status in (204, 404)


async def test_the_sockets_of_those_who_follow_are_closed(store: Any) -> None:
    agent, _ = held()
    async with served(listing(agent, store=store)) as server:
        async with connected(server) as first:
            await first.ask({"type": "commands", "commands": [HOLD]})
            await first.until(lambda view: "held" in str(view.frames))
            async with connected(server) as second, httpx.AsyncClient() as client:
                await second.until(lambda view: view.frames)
                answer = await client.delete(f"http://127.0.0.1:{server.port}/threads/t")  # type: ignore[attr-defined]
                codes = await first.until_closed(), await second.until_closed()

    assert (answer.status_code, set(codes)) == (204, {1012})  # connect again, and see


async def test_a_socket_whose_thread_was_deleted_may_begin_a_new_one(store: Any) -> None:
    agent, _ = held()
    async with served(listing(agent, store=store)) as server:
        async with connected(server) as socket, httpx.AsyncClient() as client:
            await socket.ask({"type": "commands", "commands": [NOTE]})
            await socket.until(completed)
            await client.delete(f"http://127.0.0.1:{server.port}/threads/t")  # type: ignore[attr-defined]
            await socket.until_closed()
        async with connected(server) as socket:
            assert (await socket.ask({"type": "commands", "commands": [NOTE]}))["type"] == "ack"
            await socket.until(completed)

    assert socket.state == {"notes": ["noted"]}


def lingering() -> tuple[Agent, anyio.Event, anyio.Event]:
    """Return an agent whose run takes its time to stop: when it has begun to, and what lets it end."""
    agent, stopping, go = Agent(), anyio.Event(), anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        try:
            await anyio.sleep_forever()
        finally:
            stopping.set()
            with anyio.CancelScope(shield=True):
                await go.wait()
            note(run, "stopped")

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    return agent, stopping, go


async def test_a_request_that_arrives_meanwhile_begins_a_new_thread(store: Any) -> None:
    agent, stopping, go = lingering()
    async with TestClient(listing(agent, store=store)) as client:
        async with running(client):
            deleting = asyncio.create_task(delete(client))
            await stopping.wait()
            posting = asyncio.create_task(client.post("/assistant", json=posted(NOTE)))
            await anyio.lowlevel.checkpoint()
            go.set()
            assert await deleting == 204
        assert (await posting).status == 200
        assert await state_of(client) == {"notes": ["noted"]}


async def test_many_requests_and_deletions_of_one_thread_leave_none_half_there(store: Any) -> None:
    agent, _ = held()
    async with TestClient(listing(agent, store=store)) as client:
        statuses: list[int] = []

        async def post() -> None:
            statuses.append((await client.post("/assistant", json=posted(NOTE))).status)

        async def gone() -> None:
            statuses.append(await delete(client))

        for _ in range(20):
            async with asyncio.TaskGroup() as group:
                for act in (post, gone, post, gone, post):
                    group.create_task(act())
            if not await is_unknown(client):
                notes = (await state_of(client))["notes"]
                assert set(notes) == {"noted"}
                assert len(notes) <= 3
                assert await delete(client) == 204
        assert set(statuses) <= {200, 204, 404}
        assert (await client.get("/health")).json()["runs"] == 0


async def test_a_run_that_does_not_stop_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TIMES", 2)
    agent, go = Agent(cancel_seconds=0), anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()

    async with TestClient(listing(agent)) as client:
        async with running(client):
            assert await delete(client) == 204
        assert await is_unknown(client)
        assert (await client.get("/health")).json()["runs"] == 0
        go.set()


async def test_a_deletion_is_answered_when_it_is_kept() -> None:
    agent, _ = held()
    store = Failing()
    async with TestClient(listing(agent, store=store)) as client:
        await client.post("/assistant", json=posted(NOTE))
        store.go = anyio.Event()
        deleting = asyncio.create_task(delete(client))
        await until(lambda: store.commits > 2)
        done, _ = await asyncio.wait([deleting], timeout=0)
        assert not done
        store.go.set()
        assert await deleting == 204
        assert await is_unknown(client)


# Through a crash

SERVED = """
from statecast import Agent, create_app
from tests.transport.held_agent import held

app = create_app(held()[0], open_list=True, store="sqlite:///threads.db")
"""


def test_what_was_deleted_is_gone_after_a_crash_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deleting.py").write_text(SERVED, encoding="utf-8")
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    with Restarting("serve", "deleting:app", folder=tmp_path) as server:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for thread_id in ("kept", "deleted", "held"):
                body = {"commands": [NOTE], "threadId": thread_id}
                assert client.post("/assistant", json=body).status_code == 200
            with client.stream("POST", "/assistant", json={"commands": [HOLD], "threadId": "held"}) as response:
                next(line for line in response.iter_lines() if "held" in line)
                assert client.delete("/threads/held").status_code == 204
            assert client.delete("/threads/deleted").status_code == 204
        server.kill()
        server.start()
        with httpx.Client(base_url=server.url, timeout=20) as client:
            assert [thread["remoteId"] for thread in client.get("/threads").json()["threads"]] == ["kept"]
            for thread_id in ("deleted", "held"):
                assert client.get(f"/threads/{thread_id}/state").status_code == 404
                assert client.get(f"/status/{thread_id}").status_code == 404
            body = {"commands": [NOTE], "threadId": "deleted"}
            assert client.post("/assistant", json=body).status_code == 200
            assert client.get("/threads/deleted/state").json()["state"] == {"notes": ["noted"]}
