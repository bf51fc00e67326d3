"""A store that works, and refuses what happens on one thread for good: that thread is marked, and all others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, App, Run, create_app
from statecast.stores import (
    Appended,
    Change,
    ChangeRefused,
    Deleted,
    Key,
    MemoryStore,
    RecordWritten,
    SqliteStore,
    StoreUnavailable,
)
from statecast.testing import Response, TestClient
from tests.stores.committing_store import CommittingStore
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio

Refusal = Callable[[Change], Exception | None]


class Choosy(CommittingStore):
    """Refuses the changes that it is told to refuse; never a deletion."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.refusal: Refusal = lambda change: None
        self.commits: list[Sequence[Change]] = []

    async def commit(self, changes: Sequence[Change]) -> None:
        for change in changes:
            error = None if isinstance(change, Deleted) else self.refusal(change)
            if error is not None:
                raise error
        await super().commit(changes)
        self.commits.append(changes)

    def entries(self) -> list[Appended]:
        """Return the entries that were written."""
        return [change for changes in self.commits for change in changes if isinstance(change, Appended)]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.01,))


@pytest.fixture
def store(tmp_path: Path) -> Choosy:
    return Choosy(tmp_path / "threads.db")


def of(thread_id: str, error: Exception, *kinds: type) -> Refusal:
    """Refuse the changes of a thread, of all kinds or of some."""
    return lambda change: (
        error if change.key.thread_id == thread_id and (not kinds or isinstance(change, kinds)) else None
    )


def steady() -> tuple[Agent, asyncio.Event]:
    """Return an agent that writes for as long as an event is not set."""
    agent, done = Agent(initial={"messages": [], "n": 0}), asyncio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        while command.message.text == "go on" and not done.is_set():
            run.state["n"] += 1
            await asyncio.sleep(0.005)
        message.append_text("done")

    return agent, done


def code(response: Response) -> tuple[int, str]:
    body: Any = response.json()
    return response.status, body["error"]["code"]


def body(thread: str, text: str) -> dict[str, Any]:
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    return {"threadId": thread, "commands": [{"type": "add-message", "message": message}]}


REFUSALS = [ChangeRefused("it does not fit"), TypeError("a fault of the store's"), OverflowError("too large")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
async def test_others_go_on_where_a_run_on_one_thread_is_refused(
    store: Choosy, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    agent, done = steady()
    app = create_app(agent, store=store)
    async with TestClient(app) as client:
        good = asyncio.ensure_future(client.run("go on", thread_id="good"))
        bad = asyncio.ensure_future(client.post("/assistant", json=body("bad", "go on")))
        await until(lambda: {"good", "bad"} <= {change.key.thread_id for change in store.entries()})
        store.refusal = of("bad", error)
        await bad  # its stream ends
        assert app.hub.loaded("bad") is None
        await until(lambda: app.hub.runs == 1)
        for method, path in (("GET", "/threads/bad/state"), ("GET", "/status/bad"), ("GET", "/threads/bad/events")):
            assert code(await client.request(method, path)) == (409, "thread_damaged")
        assert code(await client.post("/assistant", json=body("bad", "again"))) == (409, "thread_damaged")
        new = await client.run("hi", thread_id="new")
        assert (new.error, new.state["messages"][-1]["parts"][0]["text"]) == (None, "done")
        done.set()
        result = await good
        assert result.error is None
        assert result.state["messages"][-1]["parts"][0]["text"] == "done"
    assert "refuses what happened on the thread 'bad'" in caplog.text
    assert "nothing is sent or accepted" not in caplog.text


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
async def test_a_batch_that_is_refused_is_not_accepted(store: Choosy, error: Exception) -> None:
    agent, _ = steady()
    store.refusal = of("bad", error)
    async with TestClient(create_app(agent, store=store)) as client:
        answers = await asyncio.gather(
            *(client.post("/assistant", json=body(thread, "hi")) for thread in ("one", "bad", "two", "three"))
        )
        assert [answer.status for answer in answers] == [200, 409, 200, 200]
        assert code(answers[1]) == (409, "thread_damaged")


async def test_a_note_that_is_refused_is_not_confirmed(store: Choosy) -> None:
    agent, _ = steady()
    async with TestClient(create_app(agent, store=store)) as client:
        messages = {}
        for thread in ("good", "bad"):
            messages[thread] = (await client.run("hi", thread_id=thread)).state["messages"][-1]["id"]
        store.refusal = of("bad", ChangeRefused("too large"), RecordWritten)
        note = {"type": "positive"}
        bad, good = (f"/threads/{thread}/messages/{messages[thread]}/feedback" for thread in ("bad", "good"))
        assert code(await client.post(bad, json=note)) == (409, "thread_damaged")
        assert (await client.post(good, json=note)).status in (200, 201, 204)


async def test_a_thread_that_was_refused_can_be_deleted_and_begun_anew(store: Choosy) -> None:
    agent, _ = steady()
    async with TestClient(create_app(agent, store=store)) as client:
        assert (await client.run("hi", thread_id="bad")).error is None
        store.refusal = of("bad", ChangeRefused("it does not fit"))
        assert code(await client.post("/assistant", json=body("bad", "hi"))) == (409, "thread_damaged")
        store.refusal = lambda change: None
        assert code(await client.get("/threads/bad/state")) == (409, "thread_damaged")
        assert (await client.request("DELETE", "/threads/bad")).status == 204
        assert (await client.get("/threads/bad/state")).status == 404
        assert (await client.run("hi", thread_id="bad")).error is None


async def test_after_a_restart_a_thread_is_where_the_store_has_it(store: Choosy) -> None:
    agent, _ = steady()
    async with TestClient(create_app(agent, store=store)) as client:
        assert (await client.run("hi", thread_id="bad")).error is None
        before = (await client.get("/threads/bad/state")).json()
        store.refusal = of("bad", ChangeRefused("it does not fit"), Appended)
        await client.post("/assistant", json=body("bad", "hi"))
        assert code(await client.get("/threads/bad/state")) == (409, "thread_damaged")
    store.refusal = lambda change: None
    async with TestClient(create_app(agent, store=store)) as client:
        after = (await client.get("/threads/bad/state")).json()
        assert after["state"]["messages"][:2] == before["state"]["messages"]
        assert (await client.run("hi", thread_id="bad")).error is None


async def test_a_store_that_is_broken_for_all_is_away_and_loses_nothing(
    store: Choosy, caplog: pytest.LogCaptureFixture
) -> None:
    agent, _ = steady()
    broken: list[Exception] = []

    async def commit(changes: Sequence[Change]) -> None:
        if broken:
            raise broken[0]
        await SqliteStore.commit(store, changes)

    store.commit = commit  # type: ignore[method-assign]  # even nothing at all is refused
    app: App = create_app(agent, store=store)
    async with TestClient(app) as client:
        assert (await client.run("hi", thread_id="t")).error is None
        broken.append(TypeError("whatever is written"))
        assert code(await client.post("/assistant", json=body("t", "hi"))) == (503, "store_unavailable")
        broken.clear()
        await until(lambda: app.hub.registry.journal.failing is None)
        result = await client.run("hi", thread_id="t")
        assert (result.error, len(result.state["messages"])) == (None, 4)
    assert "nothing is sent or accepted until it does" in caplog.text


async def test_a_store_that_goes_away_while_changes_are_written_apart_gets_the_others_later(store: Choosy) -> None:
    agent, _ = steady()
    away = True

    async def commit(changes: Sequence[Change]) -> None:
        if any(change.key.thread_id == "bad" for change in changes):
            raise ChangeRefused("it does not fit")
        if away:
            raise StoreUnavailable("away")
        await SqliteStore.commit(store, changes)

    store.commit = commit  # type: ignore[method-assign]  # away, but for what it refuses
    app = create_app(agent, store=store)
    async with TestClient(app) as client:
        answers = await asyncio.gather(
            *(client.post("/assistant", json=body(thread, "hi")) for thread in ("bad", "good"))
        )
        assert answers[0].status in (409, 503)  # apart from the other, it may be refused already
        assert answers[1].status == 503
        away = False
        await until(lambda: app.hub.registry.journal.failing is None)
        assert code(await client.post("/assistant", json=body("bad", "hi"))) == (409, "thread_damaged")
        assert (await client.run("hi", thread_id="good")).error is None


async def test_an_instant_store_that_refuses_takes_nobody_with_it(caplog: pytest.LogCaptureFixture) -> None:
    class Strict(MemoryStore):
        def commit_nowait(self, changes: Sequence[Change]) -> None:
            if any(change.key == Key(None, "bad") for change in changes):
                raise ChangeRefused("it does not fit")
            super().commit_nowait(changes)

    agent, _ = steady()
    async with TestClient(create_app(agent, store=Strict())) as client:
        assert code(await client.post("/assistant", json=body("bad", "hi"))) == (409, "thread_damaged")
        assert (await client.run("hi", thread_id="good")).error is None
    assert "refuses what happened on the thread 'bad'" in caplog.text


class Faulty(MemoryStore):
    """Takes everything, though not at once: it has an error there."""

    instant = False

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        raise LookupError("expected a table, got none")


async def test_a_store_that_raises_where_it_is_to_write_at_once_commits_all_the_same() -> None:
    agent = Agent(initial={"messages": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("hello")

    app = create_app(agent, store=Faulty())
    async with TestClient(app) as client:
        with anyio.fail_after(10):
            await client.run("hi", thread_id="t")
        thread = app.hub.loaded("t")
        assert thread is not None
        assert thread.log.visible == thread.log.revision > 0
