"""What a crash, a restart, a full disk and time leave of threads: everything that anybody saw, and nothing twice."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from statecast import AddMessage, Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.state import Json
from statecast.stores import BatchAccepted, BatchApplied, Key, SqliteStore
from statecast.testing import TestClient
from statecast.threads import Thread
from tests.stores.committing_store import CommittingStore
from tests.transport.failing_store import Failing
from tests.transport.followers import (
    PATH,
    crashed,
    following,
    posted,
    reopened,
    state_of,
    status_of,
    store_of,
    until_status,
)
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until

pytestmark = pytest.mark.anyio

KINDS = ["memory", "sqlite", "shared"]
kinds = pytest.mark.parametrize("kind", KINDS)

Build = Callable[[], Agent]


@asynccontextmanager
async def restarted(kind: str, folder: Path, first: Agent, second: Agent, **settings: Any) -> AsyncIterator[Any]:
    """Yield a function that stops one server and starts the next on the same store, and the clients of both."""
    store = store_of(kind, folder)
    before = TestClient(create_app(first, store=store, **settings))
    await before.__aenter__()
    clients = [before]

    async def restart() -> TestClient:
        await clients[-1].__aexit__(None, None, None)
        clients.append(TestClient(create_app(second, store=reopened(store), **settings)))
        await clients[-1].__aenter__()
        return clients[-1]

    try:
        yield before, restart
    finally:
        await clients[-1].__aexit__(None, None, None)


def thread_of(client: TestClient, thread_id: str = "t") -> Thread:
    app = client.app
    assert isinstance(app, App)
    thread = app.hub.loaded(thread_id)
    assert thread
    return thread


async def statuses(client: TestClient, thread_id: str = "t") -> list[str]:
    """Return what became of the runs of a thread, as far as its log tells."""
    async with following(client, thread_id, cursor=f"{thread_of(client, thread_id).epoch}-0") as follower:
        await follower.until(lambda view: view.revision == thread_of(client, thread_id).log.visible)
    return follower.statuses


# A restart


@kinds
async def test_a_thread_reopens_at_its_last_entry(kind: str, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        await client.run(said("hello"), NOTE, thread_id="t", state={"a": {"b": [1, "é 😀", None, 0.5]}})
        status = (await client.get("/status/t")).json()
        state = (await client.get("/threads/t/state")).json()
        client = await restart()
        assert (await client.get("/threads/t/state")).json() == state
        assert (await client.get("/status/t")).json() == status
        ran = await client.run(NOTE, thread_id="t", state=state["state"])
        assert ran.state == {**state["state"], "notes": ["noted", "noted"]}
        assert (await client.get("/status/t")).json()["revision"] > status["revision"]


@kinds
@pytest.mark.parametrize("state", [None, [], {}, 0, "text", True, {"a": None}])
async def test_a_thread_that_never_ran_reopens_too(kind: str, state: Json, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        await client.run(thread_id="t", state=state)
        before = (await client.get("/threads/t/state")).json()
        client = await restart()
        assert (await client.get("/threads/t/state")).json() == before
        assert before["state"] == state
        assert await status_of(client) == "idle"


@kinds
async def test_a_cursor_outlives_a_restart(kind: str, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        await client.run(NOTE, thread_id="t")
        async with following(client) as first:
            await first.until(lambda view: view.frames)
        client = await restart()
        async with following(client, cursor=first.cursor, state=first.state) as second:
            await client.run(NOTE, thread_id="t")
            await second.until(lambda view: "completed" in view.statuses)
    assert second.kinds == ["run", "update-state", "run"]
    assert second.state == {"notes": ["noted", "noted"]}


async def test_an_old_cursor_outlives_a_restart_as_far_as_the_log_is_kept(tmp_path: Path) -> None:
    async with restarted("sqlite", tmp_path, held()[0], held()[0]) as (client, restart):
        await client.run(NOTE, thread_id="t")
        cursor = (await client.get("/status/t")).json()["cursor"]
        await client.run({**NOTE, "text": "later"}, thread_id="t")
        client = await restart()
        async with following(client, cursor=cursor, state={"notes": ["noted"]}) as follower:
            await follower.until(lambda view: "completed" in view.statuses)
    assert "snapshot" not in follower.kinds
    assert follower.state == {"notes": ["noted", "later"]}


@kinds
async def test_the_latest_run_is_told_of_after_a_restart(kind: str, tmp_path: Path) -> None:
    limits = Limits(keep_entries=4, keep_bytes=500)
    async with restarted(kind, tmp_path, held()[0], held()[0], limits=limits) as (client, restart):
        for _ in range(10):
            ran = await client.run(NOTE, thread_id="t")
        async with following(client) as before:
            await before.until(lambda view: view.frames)
        client = await restart()
        async with following(client) as after:
            await after.until(lambda view: view.frames)
    assert before.frames == after.frames
    assert after.run == {"id": ran.headers["statecast-run-id"], "status": "completed"}


@kinds
async def test_a_command_is_applied_once_across_a_restart(kind: str, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        first = await client.run({**NOTE, "id": "n"}, thread_id="t")
        client = await restart()
        again = await client.run({**NOTE, "id": "n"}, thread_id="t")
        other = await client.run({**NOTE, "id": "n", "text": "else"}, thread_id="t")
        assert await state_of(client) == {"notes": ["noted"]}
    assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert (other.status, other.code) == (409, "command_id_reused")


@kinds
async def test_a_run_that_a_restart_cut_off_is_interrupted(kind: str, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
        client = await restart()
        run = (await client.get("/threads/t/state")).json()["run"]
        assert run["id"] == response.headers["statecast-run-id"]
        assert (run["status"], run["error"]["code"]) == ("interrupted", "run_interrupted")
        assert (await client.run(NOTE, thread_id="t")).state == {"notes": ["held", "noted"]}


@kinds
async def test_queued_batches_run_by_themselves_after_a_restart(kind: str, tmp_path: Path) -> None:
    async with restarted(kind, tmp_path, held()[0], held()[0]) as (client, restart):
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
            for text in ("one", "two"):
                async with client.stream("POST", PATH, json=posted({**NOTE, "text": text}, said(text))):
                    pass
        client = await restart()
        await until_status(client, "completed")
        await until(lambda: not client.app.hub.runs)
        state = await state_of(client)
    assert state["notes"] == ["held", "one", "two"]
    assert [message["parts"][0]["text"] for message in state["messages"]] == ["one", "two"]


async def test_a_queued_batch_that_the_agent_does_not_know_any_more_fails(tmp_path: Path) -> None:
    async with restarted("sqlite", tmp_path, held()[0], Agent(commands=["hold"])) as (client, restart):
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
            async with client.stream("POST", PATH, json=posted(NOTE)):
                pass
        client = await restart()
        run = (await client.get("/threads/t/state")).json()["run"]
        assert (run["status"], run["error"]["code"]) == ("failed", "unknown_command")
        client = await restart()
        assert (await client.get("/threads/t/state")).json()["run"] == run


async def test_what_a_batch_was_asked_with_is_kept_but_for_the_key(tmp_path: Path) -> None:
    def agent() -> Agent:
        made, _ = held()

        @made.on("look")
        async def look(run: Run, command: UntypedCommand) -> None:
            request = run.request
            config = request.config
            run.state["seen"] = [request.system, request.extra, request.tools, config.model_name, config.api_key]

        return made

    async with restarted("sqlite", tmp_path, agent(), agent()) as (client, restart):
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
            body = posted({"type": "look"}, system="be kind", mine=1, tools={"t": {}})
            config = {"modelName": "m", "apiKey": "s3cret"}
            async with client.stream("POST", PATH, json={**body, "config": config}):
                pass
        client = await restart()
        await until_status(client, "completed")
        assert (await state_of(client))["seen"] == ["be kind", {"mine": 1}, {"t": {}}, "m", None]
    assert not [file for file in tmp_path.iterdir() if b"s3cret" in file.read_bytes()]


async def test_an_app_may_be_started_again_on_its_store(tmp_path: Path) -> None:
    app = create_app(held()[0], store=SqliteStore(tmp_path / "threads.db"))
    for count in (1, 2, 3):
        async with TestClient(app) as client:
            assert (await client.run(NOTE, thread_id="t")).state == {"notes": ["noted"] * count}


async def test_a_server_that_has_stopped_stays_so(tmp_path: Path) -> None:
    app = create_app(held()[0], store=SqliteStore(tmp_path / "threads.db"))
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        await app.hub.aclose()
        for thread_id in ("t", "unknown"):
            for path in (f"/threads/{thread_id}/state", f"/status/{thread_id}", f"/threads/{thread_id}/events"):
                assert (await client.get(path)).status in (200, 404, 503)
            answer = await client.post("/resume", json={"threadId": thread_id})
            assert answer.status in (200, 503)
        assert (await client.post(PATH, json=posted(NOTE))).status == 503


# A crash: what is in the file at any moment is what another process finds


async def test_after_a_crash_a_thread_reopens_at_what_was_seen(tmp_path: Path) -> None:
    agent, release = held()
    store = SqliteStore(tmp_path / "threads.db")
    async with (
        TestClient(create_app(agent, store=store)) as client,
        client.stream("POST", PATH, json=posted(said("hello"), HOLD)) as response,
    ):
        await response.read_until(b"held")
        async with following(client) as first:
            await first.until(lambda view: view.frames)
        left = crashed(store, tmp_path)
        release.set()
        await response.read()

    async with TestClient(create_app(held()[0], store=left)) as client:
        async with following(client, cursor=first.cursor, state=first.state) as second:
            await second.until(lambda view: view.run)
        state = (await client.get("/threads/t/state")).json()
    assert second.kinds == ["snapshot"]  # after a crash the end of the log may be lost
    assert second.run == state["run"]
    assert (state["run"]["status"], state["run"]["error"]["code"]) == ("interrupted", "run_interrupted")
    assert state["run"]["id"] == response.headers["statecast-run-id"]
    assert state["state"] == first.state
    assert state["state"]["notes"] == ["held"]


async def test_after_a_crash_what_was_accepted_runs_once(tmp_path: Path) -> None:
    agent, release = held()
    store = SqliteStore(tmp_path / "threads.db")
    body = posted({**NOTE, "id": "n", "text": "queued"}, said("hello", id="h"))
    async with TestClient(create_app(agent, store=store)) as client:
        async with client.stream("POST", PATH, json=posted({**HOLD, "id": "hold"})) as first:
            await first.read_until(b"held")
            async with client.stream("POST", PATH, json=body) as second:
                left = crashed(store, tmp_path)
                release.set()
                await first.read()
                await second.read()

    async with TestClient(create_app(held()[0], store=left)) as client:
        await until_status(client, "completed")
        again = await client.post(PATH, json=body)
        held_again = await client.post(PATH, json=posted({**HOLD, "id": "hold"}))
        state = await state_of(client)
        assert (await statuses(client))[-4:] == ["running", "interrupted", "running", "completed"]
    assert state["notes"] == ["held", "queued"]
    assert len(state["messages"]) == 1
    assert again.headers["statecast-run-id"] == second.headers["statecast-run-id"]
    assert held_again.headers["statecast-run-id"] == first.headers["statecast-run-id"]


async def test_a_run_that_was_accepted_and_had_not_begun_runs_after_a_crash(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "threads.db")
    taken: list[SqliteStore] = []

    class Watching(CommittingStore):
        async def commit(self, changes: Any) -> None:
            await super().commit(changes)
            if any(isinstance(change, BatchAccepted) for change in changes) and not taken:
                taken.append(crashed(store, tmp_path))

    store = Watching(store.path)
    async with TestClient(create_app(held()[0], store=store)) as client:
        ran = await client.run({**NOTE, "id": "n"}, said("hello"), thread_id="t")

    async with TestClient(create_app(held()[0], store=taken[0])) as client:
        await until_status(client, "completed")
        again = await client.run({**NOTE, "id": "n"}, thread_id="t")
        state = await state_of(client)
    assert again.headers["statecast-run-id"] == ran.headers["statecast-run-id"]
    assert state["notes"] == ["noted"]
    assert len(state["messages"]) == 1


async def test_whenever_it_crashes_nothing_seen_is_lost_and_nothing_is_applied_twice(tmp_path: Path) -> None:
    moments: list[tuple[SqliteStore, list[Any]]] = []
    seen: list[Any] = []

    class Watching(CommittingStore):
        async def commit(self, changes: Any) -> None:
            await super().commit(changes)
            moments.append((crashed(self, tmp_path), list(seen)))

    def agent() -> Agent:
        made = Agent()

        @made.on("count")
        async def count(run: Run, command: UntypedCommand) -> None:
            for step in range(3):
                note(run, f"{command.body['n']}.{step}")
                run.flush()
                await anyio.lowlevel.checkpoint()

        return made

    batches = [posted({"type": "count", "n": n, "id": f"c{n}"}, said(f"{n}", id=f"m{n}")) for n in range(3)]
    async with TestClient(create_app(agent(), store=Watching(tmp_path / "threads.db"))) as client:
        await client.run(thread_id="t", state={})
        async with following(client) as follower, anyio.create_task_group() as tasks:

            async def watch() -> None:
                try:
                    await follower.until(lambda view: seen.append((view.revision, view.state)))
                except EOFError:
                    pass

            tasks.start_soon(watch)
            for batch in batches:
                await client.post(PATH, json=batch)
            tasks.cancel_scope.cancel()

    assert len(moments) > 5
    for left, known in moments[:: max(1, len(moments) // 15)]:
        async with TestClient(create_app(agent(), store=left)) as client:
            if (await client.get("/status/t")).status == 404:
                assert not known
                continue
            await until(partial(_idle, client))
            state = await state_of(client)
            for revision, then in known:
                earlier = await client.get(f"/threads/t/state?revision={revision}")
                if revision >= 0 and earlier.status == 200:
                    assert earlier.json()["state"] == then
            for batch in batches:
                await client.post(PATH, json=batch)
            after = await state_of(client)
            assert after.get("notes", [])[: len(state.get("notes", []))] == state.get("notes", [])
            texts = [message["parts"][0]["text"] for message in after["messages"]]
            assert sorted(texts) == ["0", "1", "2"]
            for n in range(3):
                steps = [text for text in after["notes"] if text.startswith(f"{n}.")]
                assert steps == [f"{n}.{step}" for step in range(len(steps))]
            assert len(set(after["notes"])) == len(after["notes"])


def _idle(client: TestClient) -> bool:
    app = client.app
    assert isinstance(app, App)
    return not app.hub.runs


# Agents whose runs may begin again


def again_and_again(log: list[list[str]]) -> Agent:
    """Return an agent that notes how it began, and is then held."""
    agent = Agent(restartable=True)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        log.append([message["parts"][0]["text"] for message in run.messages.items])
        note(run, f"began {len(log)}")
        run.flush()
        if len(log) == 1:
            await anyio.sleep_forever()
        note(run, "ended")

    return agent


async def test_a_restartable_run_begins_again_from_its_commands(tmp_path: Path) -> None:
    log: list[list[str]] = []
    store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(again_and_again(log), store=store)) as client:
        async with client.stream("POST", PATH, json=posted(said("hello", id="h"))) as first:
            await first.read_until(b"began 1")
            left = crashed(store, tmp_path)

    async with TestClient(create_app(again_and_again(log), store=left)) as client:
        await until_status(client, "completed")
        again = await client.run(said("hello", id="h"), thread_id="t")
        state = await state_of(client)
        run = (await client.get("/threads/t/state")).json()["run"]
    assert log == [["hello"], ["hello"]]
    assert len(state["messages"]) == 1
    assert state["notes"] == ["began 1", "began 2", "ended"]
    assert run == {"id": first.headers["statecast-run-id"], "status": "completed"}
    assert again.headers["statecast-run-id"] == run["id"]


async def test_a_restartable_run_that_has_ended_does_not_begin_again(tmp_path: Path) -> None:
    log: list[list[str]] = [[]]
    store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(again_and_again(log), store=store)) as client:
        await client.run("hello", thread_id="t")
        left = crashed(store, tmp_path)
    async with TestClient(create_app(again_and_again(log), store=left)) as client:
        assert await status_of(client) == "completed"
    assert len(log) == 2


async def test_what_is_queued_behind_a_restartable_run_runs_behind_it_again(tmp_path: Path) -> None:
    log: list[list[str]] = []
    store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(again_and_again(log), store=store)) as client:
        async with client.stream("POST", PATH, json=posted(said("one"))) as first:
            await first.read_until(b"began 1")
            async with client.stream("POST", PATH, json=posted(said("two"))):
                left = crashed(store, tmp_path)
    async with TestClient(create_app(again_and_again(log), store=left)) as client:
        await until(partial(_idle, client))
        assert await state_of(client) != {}
    assert log == [["one"], ["one"], ["one", "two"]]


# Out of memory, and out of time


def quick(**more: Any) -> Limits:
    return Limits(**{"idle_seconds": 0, "heartbeat_seconds": 0.01, **more})


@kinds
async def test_a_thread_that_nobody_uses_leaves_memory_and_comes_back(kind: str, tmp_path: Path) -> None:
    app = create_app(held()[0], store=store_of(kind, tmp_path), limits=quick())
    async with TestClient(app) as client:
        first = await client.run({**NOTE, "id": "n"}, said("hello"), thread_id="t")
        status = (await client.get("/status/t")).json()
        await until(lambda: app.hub.threads == 0)
        assert (await client.get("/status/t")).json() == status
        await until(lambda: app.hub.threads == 0)
        again = await client.run({**NOTE, "id": "n"}, thread_id="t")
        second = await client.run(NOTE, thread_id="t", state=first.state)
    assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert again.state == first.state
    assert second.state == {**first.state, "notes": ["noted", "noted"]}


@kinds
async def test_a_cursor_outlives_leaving_memory(kind: str, tmp_path: Path) -> None:
    app = create_app(held()[0], store=store_of(kind, tmp_path), limits=quick())
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as first:
            await first.until(lambda view: view.frames)
        await until(lambda: app.hub.threads == 0)
        async with following(client, cursor=first.cursor, state=first.state) as second:
            await client.run(NOTE, thread_id="t")
            await second.until(lambda view: "completed" in view.statuses)
    assert "snapshot" not in second.kinds
    assert second.state == {"notes": ["noted", "noted"]}


@kinds
async def test_a_thread_that_is_in_use_stays_in_memory(kind: str, tmp_path: Path) -> None:
    agent, release = held(commands=["go"])

    @agent.on("wait")
    async def wait(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")

    app = create_app(agent, store=store_of(kind, tmp_path), limits=quick())
    async with TestClient(app) as client:
        for thread_id in ("followed", "gone"):
            await client.run(NOTE, thread_id=thread_id)
        await client.run({"type": "wait"}, thread_id="waiting")
        async with following(client, "followed"):
            async with client.stream("POST", PATH, json={"commands": [HOLD], "threadId": "running"}) as response:
                await response.read_until(b"held")
            await until(lambda: app.hub.loaded("gone") is None)
            assert all(app.hub.loaded(thread_id) for thread_id in ("followed", "waiting", "running"))
            release.set()


async def test_a_thread_that_is_not_kept_yet_stays_in_memory() -> None:
    store = Failing()
    app = create_app(held(writable=["/title"])[0], store=store, limits=quick())
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        store.go = anyio.Event()
        step = [{"op": "add", "path": "/title", "value": "b"}]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.request, "PATCH", "/threads/t/state", json=step))
            await until(lambda: thread_of(client).log.revision > thread_of(client).log.visible)
            ticks = _Ticks(app)
            await until(lambda: ticks.count >= 3)
            assert app.hub.threads == 1
            store.go.set()
        await until(lambda: app.hub.threads == 0)
        assert (await state_of(client))["title"] == "b"


class _Ticks:
    """Counts how often a hub looks for threads that nobody uses."""

    def __init__(self, app: App) -> None:
        self.count = 0
        tidy = app.hub.registry.unload_idle

        def counted(now: float) -> None:
            self.count += 1
            tidy(now)

        app.hub.registry.unload_idle = counted  # type: ignore[method-assign]  # to be told of it


@kinds
async def test_a_thread_that_nobody_can_name_is_deleted_soon_after_its_run(kind: str, tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    app = create_app(held()[0], store=store, limits=quick(resume_seconds=0))
    async with TestClient(app) as client:
        ran = await client.run(NOTE)
        thread_id = ran.headers["statecast-thread-id"]
        await until(lambda: app.hub.threads == 0)
        with anyio.fail_after(10):
            while await store.load(Key(None, thread_id)) is not None:  # noqa: ASYNC110  # it is written soon
                await anyio.sleep(0.001)
        assert (await client.get(f"/status/{thread_id}")).status == 404


@kinds
async def test_what_was_left_behind_is_deleted_after_its_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statecast.threads.supervisor.SWEEP", -1.0)
    store = store_of(kind, tmp_path)
    limits = quick(keep_seconds=0.05)
    app = create_app(held()[0], store=store, limits=limits)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        assert (await client.get("/status/t")).status == 200
        with anyio.fail_after(10):
            while await store.load(Key(None, "t")) is not None:  # noqa: ASYNC110  # it is deleted in time
                await anyio.sleep(0.005)
        assert (await client.get("/status/t")).status == 404
        assert (await client.run(NOTE, thread_id="t")).state == {"notes": ["noted"]}


@kinds
async def test_without_a_time_nothing_is_deleted(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.supervisor.SWEEP", -1.0)
    store = store_of(kind, tmp_path)
    app = create_app(held()[0], store=store, limits=quick())
    sweeps = 0
    sweep = app.hub.registry.sweep

    async def counted() -> bool:
        nonlocal sweeps
        more = await sweep()
        sweeps += 1
        return more

    app.hub.registry.sweep = counted  # type: ignore[method-assign]  # to be told of it
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        await until(lambda: sweeps >= 3 and app.hub.threads == 0)
        assert await state_of(client) == {"notes": ["noted"]}


@kinds
@pytest.mark.parametrize("jump", [1e9, -1e9])
async def test_a_clock_that_jumps_deletes_nothing(
    kind: str, jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statecast.threads.supervisor.SWEEP", -1.0)
    store = store_of(kind, tmp_path)
    real = time.time
    for number in range(3):
        if number == 1:
            monkeypatch.setattr(time, "time", lambda: real() + jump)
        app = create_app(held()[0], store=store, limits=quick(keep_seconds=3_600))
        async with TestClient(app) as client:
            await client.run(NOTE, thread_id=f"{number}")
            await until(lambda app=app: app.hub.threads == 0)  # type: ignore[misc]  # the app of this turn
            for _ in range(3):
                assert not await app.hub.registry.sweep()
            assert [(await client.get(f"/status/{old}")).status for old in range(number + 1)] == [200] * (number + 1)


async def test_a_sweep_deletes_only_so_many_and_says_that_there_are_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statecast.threads.registry.AT_ONCE", 2)
    monkeypatch.setattr("statecast.threads.supervisor.SWEEP", 1e9)
    store = SqliteStore(tmp_path / "threads.db")
    app = create_app(held()[0], store=store, limits=quick(keep_seconds=0.001))
    async with TestClient(app) as client:
        for number in range(5):
            await client.run(NOTE, thread_id=f"{number}")
        await until(lambda: app.hub.threads == 0)
        assert [await app.hub.registry.sweep() for _ in range(1)] == [True]
        await until(lambda: app.hub.threads == 0)
        await app.hub.registry.wait_stored()
        assert len(await store.idle_for(-1, lasting=True)) <= 3


# Size


@pytest.mark.parametrize("kind", ["parts", "state"])
async def test_what_is_loaded_is_the_state_and_a_tail_however_long_the_history(kind: str) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.state = {"n": 0}
        for number in range(3_000):
            if kind == "parts":
                run.parts.append_text(f"word {number} ")
            run.state["n"] = number
            run.flush()
            if number % 50 == 0:
                await anyio.lowlevel.checkpoint()

    store = Failing()
    limits = Limits(keep_entries=64, keep_bytes=20_000)
    async with TestClient(create_app(agent, store=store, limits=limits)) as client:
        for _ in range(2):
            await client.run({"type": "work"}, thread_id="t")
        revision = (await client.get("/status/t")).json()["revision"]
    assert revision > 6_000
    saved = await store.kept.load(Key(None, "t"))
    assert saved
    assert saved.revision + len(saved.entries) == revision
    assert len(saved.entries) < 200
    assert len(saved.state) + sum(len(data) for _, _, data in saved.entries) < 60_000
    async with TestClient(create_app(agent, store=store.kept, limits=limits)) as client:
        assert await state_of(client) == {"n": 2_999}
        assert (await client.get("/status/t")).json()["revision"] == revision


async def test_a_long_thread_reopens_as_it_was(tmp_path: Path) -> None:
    limits = Limits(keep_entries=8, keep_bytes=2_000)
    async with restarted("sqlite", tmp_path, held()[0], held()[0], limits=limits) as (client, restart):
        for number in range(60):
            await client.run({**NOTE, "text": f"{number}", "id": f"{number}"}, thread_id="t")
        before = (await client.get("/threads/t/state")).json()
        client = await restart()
        assert (await client.get("/threads/t/state")).json() == before
        for number in (0, 30, 59):
            await client.run({**NOTE, "text": f"{number}", "id": f"{number}"}, thread_id="t")
        assert (await client.get("/threads/t/state")).json() == before


# An agent that is gone


@kinds
async def test_a_thread_whose_agent_is_gone_is_left_as_it_is(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(held(name="old")[0], store=store)) as client:
        async with client.stream("POST", PATH, json=posted(HOLD)) as response:
            await response.read_until(b"held")
            async with client.stream("POST", PATH, json=posted(NOTE)):
                pass
    async with TestClient(create_app(held(name="new")[0], store=reopened(store))) as client:
        refused = [
            await client.get("/status/t"),
            await client.get("/threads/t/state"),
            await client.get("/threads/t/events"),
            await client.post(PATH, json=posted(NOTE)),
            await client.post("/cancel", json={"threadId": "t"}),
        ]
        assert (await client.run(NOTE, thread_id="other")).error is None
    async with TestClient(create_app(held(name="old")[0], store=reopened(store))) as client:
        await until_status(client, "completed")
        assert await state_of(client) == {"notes": ["held", "noted"]}
    assert {(answer.status, answer.json()["error"]["code"]) for answer in refused} == {(409, "agent_mismatch")}
    assert any("left as it is" in record.getMessage() for record in caplog.records)


# A store that fails


@pytest.fixture
def quiet() -> Any:
    """Keep the server's complaints about its store out of the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def refused_by_store(result: Any) -> bool:
    return (result.status, result.code, result.headers["retry-after"]) == (503, "store_unavailable", "2")


@pytest.mark.usefixtures("quiet")
async def test_while_the_store_fails_nothing_is_accepted_and_nothing_applied() -> None:
    store = Failing()
    app = create_app(held()[0], store=store)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        before = (await client.get("/threads/t/state")).json()
        store.broken = True
        for _ in range(3):
            assert refused_by_store(await client.run({**NOTE, "id": "n"}, said("lost"), thread_id="t"))
        assert app.hub.runs == 0
        store.broken = False
        await until(lambda: app.hub.registry.journal.failing is None)
        assert (await client.get("/threads/t/state")).json() == before
        ran = await client.run({**NOTE, "id": "n"}, thread_id="t")
        assert ran.state == {"notes": ["noted", "noted"]}
    assert sum(isinstance(change, BatchApplied) for change in store.changes) == 1
    assert sum(isinstance(change, BatchAccepted) for change in store.changes) == 2


@pytest.mark.usefixtures("quiet")
async def test_a_thread_that_could_not_be_kept_was_never_there() -> None:
    store = Failing()
    app = create_app(held()[0], store=store)
    async with TestClient(app) as client:
        store.broken = True
        assert refused_by_store(await client.run(NOTE, thread_id="t", state={"a": 1}))
        assert app.hub.threads == 0
        store.broken = False
        await until(lambda: app.hub.registry.journal.failing is None)
        assert (await client.get("/status/t")).status == 404
        assert (await client.run(NOTE, thread_id="t", state={"b": 1})).state == {"b": 1, "notes": ["noted"]}


@pytest.mark.usefixtures("quiet")
async def test_a_run_that_is_under_way_goes_on_and_is_shown_when_the_store_is_back() -> None:
    store = Failing()
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        store.broken = True
        release.set()
        await until(lambda: app.hub.registry.journal.failing)
        await until(lambda: not app.hub.runs)
        assert b"went on" not in response.content
        store.broken = False
        assert b"went on" in await response.read()
        assert await status_of(client) == "completed"


@pytest.mark.usefixtures("quiet")
async def test_a_retry_is_not_confirmed_by_a_first_try_that_fails() -> None:
    store = Failing()
    app = create_app(held()[0], store=store)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        store.go = anyio.Event()
        results: list[Any] = []

        async def send() -> None:
            results.append(await client.run({**NOTE, "id": "n"}, thread_id="t"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await until(lambda: thread_of(client).inbox)
            tasks.start_soon(send)
            with anyio.move_on_after(0.02):
                await until(lambda: results)
            assert results == []
            store.broken = True
            store.go.set()
        assert all(map(refused_by_store, results))
        store.broken = False
        await until(lambda: app.hub.registry.journal.failing is None)
        assert await state_of(client) == {"notes": ["noted"]}
        assert (await client.run({**NOTE, "id": "n"}, thread_id="t")).state == {"notes": ["noted", "noted"]}


@pytest.mark.usefixtures("quiet")
async def test_what_is_queued_behind_a_batch_that_is_withdrawn_runs() -> None:
    store = Failing()
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            store.go = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(client.run, NOTE, thread_id="t", policy="interrupt"))
                await until(lambda: len(thread_of(client).inbox) == 2)
                release.set()
                await until(lambda: thread_of(client).active is None)
                store.broken = True
                store.go.set()
                await until(lambda: app.hub.registry.journal.failing)
                store.broken = False
            await first.read()
            await second.read()
        assert await state_of(client) == {"notes": ["held", "went on", "noted"]}


@pytest.mark.usefixtures("quiet")
async def test_a_thread_that_cannot_be_loaded_is_no_unknown_one() -> None:
    store = Failing()
    async with TestClient(create_app(held()[0], store=store, limits=quick())) as client:
        store.broken = True
        for path in ("/status/t", "/threads/t/state", "/threads/t/events"):
            answer = await client.get(path)
            assert (answer.status, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert (await client.post("/resume", json={"threadId": "t"})).status == 503
        assert (await client.post("/initial-state", json={"threadId": "t"})).status == 503
        store.broken = False
        assert (await client.get("/status/t")).status == 404
