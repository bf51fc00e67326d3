"""A store that fails for a while: nothing is accepted or shown meanwhile, runs go on, and in the end all is kept."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from statecast import App, Limits, create_app
from statecast.stores import Change, Key, SavedThread, SqliteStore, StoreUnavailable
from statecast.testing import Response, TestClient
from tests.stores.committing_store import CommittingStore
from tests.stores.full_disk import full_disk
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"


class Away(CommittingStore):
    """Fails while it is away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.away: Exception | None = None
        self.refused = 0

    def leave(self, error: Exception | None = None) -> None:
        self.away = error or StoreUnavailable("the store is away")

    async def commit(self, changes: Sequence[Change]) -> None:
        if self.away is not None:
            self.refused += 1
            raise self.away
        await super().commit(changes)

    async def load(self, key: Key) -> SavedThread | None:
        if self.away is not None:
            raise StoreUnavailable("the store is away")
        return await super().load(key)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.01,))


@pytest.fixture
def store(tmp_path: Path) -> Away:
    return Away(tmp_path / "threads.db")


def unavailable(response: Response) -> bool:
    """Whether a response says that the store is away, and when to try again."""
    assert (response.status, response.json()["error"]["code"]) == (503, "store_unavailable")
    return int(response.headers["retry-after"]) > 0


def posted(*commands: Any, thread: str = "t") -> dict[str, Any]:
    return {"commands": list(commands), "threadId": thread}


async def notes(client: TestClient, thread: str = "t") -> list[str]:
    answer = await client.get(f"/threads/{thread}/state")
    assert answer.status == 200, answer.content
    return answer.json()["state"]["notes"]


async def test_what_is_refused_while_the_store_is_away_leaves_nothing(store: Away, caplog: Any) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="known")
        store.leave()
        for thread in ("new", "known"):
            for _ in range(3):
                assert unavailable(
                    await client.post(PATH, json=posted({**NOTE, "id": "n", "text": "1"}, thread=thread))
                )
        store.away = None
        assert await notes(client, "known") == ["noted"]
        assert (await client.get("/threads/new/state")).status == 404
        for thread in ("new", "known"):
            # The same id: it stands for nothing yet.
            accepted = await client.run({**NOTE, "id": "n", "text": "2"}, thread_id=thread)
            assert accepted.error is None
        assert await notes(client, "new") == ["2"]
        assert await notes(client, "known") == ["noted", "2"]


async def test_one_refusal_is_not_for_ever(store: Away) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.leave()
        assert unavailable(await client.post(PATH, json=posted(NOTE)))
        await until(lambda: client_of(client).hub.registry.journal.failing is None)
        store.away = None
        assert (await client.run(NOTE, thread_id="t")).state == {"notes": ["noted"]}


def client_of(client: TestClient) -> App:
    assert isinstance(client.app, App)
    return client.app


async def test_a_run_goes_on_and_is_shown_when_the_store_is_back(store: Away, caplog: Any) -> None:
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("GET", "/threads/t/events") as nothing:
        assert nothing.status == 404
        async with (
            client.stream("POST", PATH, json=posted(HOLD)) as stream,
            client.stream("POST", PATH, json=posted(NOTE)) as queued,
        ):
            await stream.read_until(b"held")
            async with client.stream("GET", "/threads/t/events") as follower:
                await follower.read_until(b"held")
                before = follower.content
                store.leave()
                release.set()
                await until(lambda: app.hub.runs == 0)  # both have ended
                await until(lambda: store.refused > 2)

                for path in ("/threads/t/state", "/status/t"):
                    assert unavailable(await client.get(path))
                assert unavailable(await client.post(PATH, json=posted(NOTE)))
                assert (await client.get("/health")).status == 200
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await anext(follower)
                assert follower.content == before
                other = SqliteStore(store.path, patience=0.01)
                with pytest.raises(StoreUnavailable):
                    await other.open()

                store.away = None
                await follower.read_until(b'"noted"')
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.read)
                tasks.start_soon(queued.read)
        assert await notes(client) == ["held", "went on", "noted"]
        for response in (stream, queued):
            assert response.content.endswith(b"data: [DONE]\n\n")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert caplog.records[1].getMessage() == "the store works again"


async def test_what_was_not_kept_is_not_there_after_a_crash(store: Away, tmp_path: Path, caplog: Any) -> None:

    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as stream:
        await stream.read_until(b"held")
        store.leave()
        release.set()
        await until(lambda: app.hub.runs == 0)
        folder = tmp_path / "left"
        folder.mkdir()
        for file in tmp_path.glob("threads.db*"):
            shutil.copy(file, folder / file.name)
        async with TestClient(create_app(held()[0], store=SqliteStore(folder / "threads.db"))) as later:
            assert await notes(later) == ["held"]
            status = (await later.get("/status/t")).json()
            assert (status["status"], status["isRunning"]) == ("interrupted", False)
        store.away = None
        await stream.read_until(b"went on")


async def test_threads_that_are_not_in_memory_cannot_be_read_meanwhile(store: Away) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.leave()
        for path in ("/threads/t/state", "/threads/t/events", "/status/t"):
            assert unavailable(await client.get(path))
        for path in ("/resume", "/initial-state", "/cancel"):
            assert unavailable(await client.post(path, json={"threadId": "t"}))
        store.away = None
        assert await notes(client) == ["noted"]


async def test_a_thread_in_memory_is_followed_meanwhile(store: Away) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
        store.leave()
        async with client.stream("GET", "/threads/t/events") as follower:
            assert b'"notes":["noted"]' in await follower.read_until(b"noted")


async def test_an_interrupting_batch_that_is_refused_holds_up_nobody(store: Away) -> None:
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as stream:
        await stream.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as queued:
            store.leave()
            refused = asyncio.create_task(client.post(PATH, json={**posted(NOTE), "policy": "interrupt"}))
            await until(lambda: store.refused)
            release.set()
            assert unavailable(await refused)
            store.away = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.read)
                tasks.start_soon(queued.read)
        assert await notes(client) == ["held", "went on", "noted"]


async def test_a_retry_is_answered_only_when_the_first_try_is_kept(tmp_path: Path) -> None:
    class Slow(CommittingStore):
        gate = anyio.Event()
        holds = False

        async def commit(self, changes: Sequence[Change]) -> None:
            if self.holds:
                await self.gate.wait()
                raise StoreUnavailable("the store is away")
            await super().commit(changes)

    store = Slow(tmp_path / "threads.db")
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
        store.holds = True
        body = posted({**NOTE, "id": "n"})
        tries = [asyncio.create_task(client.post(PATH, json=body)) for _ in range(2)]
        await asyncio.wait(tries, timeout=0.1)
        assert not any(attempt.done() for attempt in tries)
        store.gate.set()
        for attempt in tries:
            assert unavailable(await attempt)
        store.holds = False
        await client.run({**NOTE, "id": "n"}, thread_id="t")
        assert await notes(client) == ["noted", "noted"]


async def test_a_store_that_breaks_its_word_does_not_take_the_server_with_it(store: Away, caplog: Any) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
        store.leave(ZeroDivisionError("a bug"))
        assert unavailable(await client.post(PATH, json=posted(NOTE)))
        assert "ZeroDivisionError" in caplog.text
        store.away = None
        await client.run(NOTE, thread_id="t")
        assert await notes(client) == ["noted", "noted"]


async def test_a_server_that_stops_while_the_store_is_away_stops(store: Away, caplog: Any) -> None:
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as stream:
        await stream.read_until(b"held")
        store.leave()
        release.set()
        await until(lambda: app.hub.runs == 0)
        before = stream.content
        await app.hub.aclose()
        assert await stream.read() == before  # cut off: nothing unkept is shown
        assert "could not be stored" in caplog.text


async def test_a_message_is_said_once_however_often_the_store_fails(store: Away) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")

        async def say(number: int) -> None:
            body = posted(said(str(number), id=f"m{number}"))
            while (await client.post(PATH, json=body)).status != 200:  # noqa: ASYNC110  # as a client does
                await anyio.sleep(0.001)

        async def flicker() -> None:
            for _ in range(20):
                store.leave()
                await anyio.sleep(0.005)
                store.away = None
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flicker)
            for number in range(10):
                tasks.start_soon(say, number)
        state = (await client.get("/threads/t/state")).json()["state"]
    assert sorted(message["parts"][0]["text"] for message in state["messages"]) == [str(number) for number in range(10)]


async def test_a_full_disk_is_a_store_that_is_away(tmp_path: Path, caplog: Any) -> None:
    agent, release = held()
    text = Random(1).randbytes(50_000).hex()  # which a store cannot make much shorter

    @agent.on("write")
    async def write(run: Any, command: Any) -> None:
        note(run, text)
        await release.wait()
        note(run, "written")

    store = SqliteStore(tmp_path / "threads.db")
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("GET", "/health"):
        await client.run(NOTE, thread_id="t")
        disk = full_disk(after=20_000)
        disk.__enter__()
        async with client.stream("POST", PATH, json=posted({"type": "write"})) as stream:
            release.set()
            await until(lambda: app.hub.runs == 0)
            await until(lambda: app.hub.registry.journal.failing is not None)
            assert text[:99].encode() not in stream.content
            assert unavailable(await client.post(PATH, json=posted(NOTE)))
            assert "No space left" in caplog.text
            disk.__exit__(None, None, None)
            await stream.read_until(b'"written"')
        assert [len(text) for text in await notes(client)] == [5, 100_000, 7]


@pytest.mark.parametrize("lifespan", [True, False])
async def test_a_store_that_cannot_be_opened_is_said_to_be_away(tmp_path: Path, lifespan: bool, caplog: Any) -> None:
    path = tmp_path / "threads.db"
    path.write_bytes(b"no database")
    app = create_app(held()[0], store=SqliteStore(path))
    if lifespan:
        with pytest.raises(RuntimeError, match="not a database"):
            async with TestClient(app):
                pass
    async with TestClient(app, lifespan=False) as client:
        for _ in range(2):
            assert unavailable(await client.post(PATH, json=posted(NOTE)))
        assert unavailable(await client.get("/threads/t/state"))
        assert "not a database" in caplog.text
        path.unlink()
        await client.run(NOTE, thread_id="t")
        assert await notes(client) == ["noted"]
        await app.hub.aclose()


@pytest.mark.parametrize("idle", [0.0, 600.0])
async def test_a_thread_that_nobody_uses_is_let_go_only_when_it_is_kept(store: Away, idle: float) -> None:
    limits = Limits(idle_seconds=idle, heartbeat_seconds=0.02, run_seconds=60)
    agent, release = held()
    app = create_app(agent, store=store, limits=limits)
    async with TestClient(app) as client:
        async with client.stream("POST", PATH, json=posted(HOLD)) as stream:
            await stream.read_until(b"held")
        store.leave()
        release.set()
        await until(lambda: app.hub.runs == 0)
        await until(lambda: store.refused > 2)
        assert app.hub.threads == 1
        store.away = None
        await until(lambda: app.hub.threads == (1 if idle else 0))
        assert await notes(client) == ["held", "went on"]
        await client.run(NOTE, thread_id="t")
        assert await notes(client) == ["held", "went on", "noted"]
