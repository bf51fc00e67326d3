"""A store that takes its time: what happens meanwhile is neither shown nor lost, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from statecast import Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.protocol.errors import RequestError
from statecast.stores import Change, Key, SavedThread, SqliteStore, StoreUnavailable
from statecast.testing import TestClient
from statecast.testing.asgi import scope_of
from tests.stores.committing_store import CommittingStore
from tests.transport.held_agent import HOLD, NOTE, held, note, until

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"
BODY = {"commands": [NOTE], "threadId": "t"}


class Slow(CommittingStore):
    """Commits, and answers loads, only while it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits = anyio.Event()
        self.loads = anyio.Event()
        self.waiting = 0
        self.error: Exception | None = None
        self.go_on()

    def hold(self) -> None:
        self.commits = anyio.Event()

    def hold_loads(self) -> None:
        self.loads = anyio.Event()

    def go_on(self, error: Exception | None = None) -> None:
        self.error = error
        self.commits.set()
        self.loads.set()

    async def commit(self, changes: Sequence[Change]) -> None:
        await self._let(self.commits)
        if self.error is not None:
            raise self.error
        await super().commit(changes)

    async def load(self, key: Key) -> SavedThread | None:
        found = await super().load(key)
        await self._let(self.loads)
        return found

    async def _let(self, event: anyio.Event) -> None:
        if not event.is_set():  # what is let at once has not waited
            self.waiting += 1
            await event.wait()
            self.waiting -= 1


@pytest.fixture
def store(tmp_path: Path) -> Slow:
    return Slow(tmp_path / "threads.db")


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.01,))


async def state(client: TestClient, thread: str = "t") -> Any:
    answer = await client.get(f"/threads/{thread}/state")
    return answer.json()["state"] if answer.status == 200 else answer.status


def hub(client: TestClient) -> Any:
    assert isinstance(client.app, App)
    return client.app.hub


@pytest.mark.parametrize("fails", [False, True])
async def test_a_thread_is_not_known_before_it_is_kept(store: Slow, fails: bool) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.hold()
        first = asyncio.create_task(client.post(PATH, json=BODY))
        await until(lambda: store.waiting)
        for path in ("/threads/t/events", "/threads/t/state", "/status/t"):
            request = asyncio.create_task(client.get(path))
            await asyncio.wait({request}, timeout=0.02)
            assert not request.done() or request.result().status == 404
            request.cancel()
            await asyncio.wait({request})
        store.go_on(StoreUnavailable("away") if fails else None)
        assert (await first).status == (503 if fails else 200)
        assert await state(client) == (404 if fails else {"notes": ["noted"]})


async def test_a_thread_that_is_looked_for_while_it_is_made_is_not_known_before_it_is_kept(store: Slow) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.hold()
        store.hold_loads()
        first = asyncio.create_task(client.post(PATH, json=BODY))
        await until(lambda: store.waiting == 1)
        second = asyncio.create_task(hub(client).find("t"))
        await until(lambda: store.waiting == 2)
        store.loads.set()  # both are told at once that there is none
        with pytest.raises(RequestError, match="does not know"):
            await second
        store.go_on()
        assert (await first).status == 200


async def test_a_thread_that_is_refused_because_the_store_fails_meanwhile_can_be_made_later(store: Slow) -> None:
    agent, release = held()
    app = create_app(agent, store=store)
    body = {"commands": [HOLD], "threadId": "other"}
    async with TestClient(app) as client, client.stream("POST", PATH, json=body) as stream:
        await stream.read_until(b"held")
        store.hold_loads()
        refused = asyncio.create_task(client.post(PATH, json=BODY))
        await until(lambda: store.waiting)
        store.error = StoreUnavailable("away")
        release.set()
        await until(lambda: app.hub.registry.journal.failing)
        store.loads.set()
        assert (await refused).status == 503
        store.go_on()
        await until(lambda: app.hub.registry.journal.failing is None)
        assert await state(client) == 404
        assert (await client.run(NOTE, thread_id="t")).state == {"notes": ["noted"]}


async def test_the_end_of_a_run_is_not_told_before_it_is_kept(store: Slow) -> None:
    agent, release = held()
    app = create_app(agent, store=store)
    body = {"commands": [HOLD], "threadId": "t"}
    async with TestClient(app) as client, client.stream("POST", PATH, json=body) as stream:
        await stream.read_until(b"held")
        store.hold()
        release.set()
        await until(lambda: app.hub.runs == 0)
        paths = ("/status/t", "/threads/t/state")
        requests = [asyncio.create_task(client.get(path)) for path in paths]
        requests.append(asyncio.create_task(client.post("/resume", json={"threadId": "t"})))
        await asyncio.wait(requests, timeout=0.05)
        for request in requests:
            if request.done():
                assert b"completed" not in request.result().content
                assert request.result().headers.get("x-stream-status") != "completed"
        store.go_on()
        await asyncio.gather(*requests)
        assert (await stream.read()).endswith(b"[DONE]\n\n")


async def test_a_request_that_is_given_up_while_it_is_written_is_carried_out(store: Slow) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
        store.hold()
        request = asyncio.ensure_future(client.app(*posted()))
        await until(lambda: store.waiting)
        request.cancel()  # as a time limit around the app does
        await asyncio.wait({request})
        store.go_on()
        await client.run({**NOTE, "text": "next"}, thread_id="t")
        assert await state(client) == {"notes": ["noted", "noted", "next"]}


async def test_a_request_that_is_given_up_while_it_makes_a_thread_is_carried_out(store: Slow) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.hold()
        request = asyncio.ensure_future(client.app(*posted()))
        await until(lambda: store.waiting)
        request.cancel()
        await asyncio.wait({request})
        following = asyncio.create_task(client.run({**NOTE, "text": "next"}, thread_id="t"))
        await asyncio.wait({following}, timeout=0.02)
        store.go_on()
        assert (await following).state == {"notes": ["noted", "next"]}


def posted() -> tuple[Any, Any, Any]:
    """Return a request as the app gets it from a server."""
    messages = [{"type": "http.request", "body": msgspec.json.encode(BODY), "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()

    return scope_of("POST", PATH, {"content-type": "application/json", "host": "127.0.0.1"}, None), receive, send


async def test_a_thread_that_is_being_deleted_is_begun_anew(store: Slow) -> None:
    limits = Limits(resume_seconds=0.0, heartbeat_seconds=0.02)
    async with TestClient(create_app(held()[0], store=store, limits=limits)) as client:
        thread = (await client.run(NOTE)).thread_id
        store.hold()
        await until(lambda: hub(client).threads == 0)
        again = asyncio.create_task(client.run({**NOTE, "text": "anew"}, thread_id=thread))
        await until(lambda: store.waiting)
        store.go_on()
        assert (await again).state == {"notes": ["anew"]}
        await client.run(NOTE, thread_id="other")
        assert await state(client, thread) == {"notes": ["anew"]}


async def test_a_server_that_stops_while_a_request_looks_for_its_thread_stops(store: Slow) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
    async with TestClient(create_app(held()[0], store=store)) as client:
        store.hold_loads()
        requests = [
            asyncio.create_task(client.post(PATH, json={"commands": [HOLD], "threadId": "t"})),
            asyncio.create_task(client.get("/threads/t/events")),
        ]
        await until(lambda: store.waiting == 2)
        closing = asyncio.create_task(hub(client).aclose())
        await asyncio.sleep(0)
        store.go_on()
        await closing
        for request in requests:
            answer = await request
            assert answer.status in (200, 503), answer.content
        assert requests[0].result().status == 503


async def test_a_request_after_the_end_does_not_start_the_server_again(store: Slow) -> None:
    async with TestClient(create_app(held()[0], store=store)) as client:
        await client.run(NOTE, thread_id="t")
        await hub(client).aclose()
        for path in ("/threads/t/events", "/threads/unknown/state", "/status/t"):
            answer = await client.get(path)
            assert answer.status in (200, 404, 503)
        assert (await client.post(PATH, json=BODY)).status == 503
        other = SqliteStore(store.path, patience=0.01)
        await other.open()  # the file is free
        await other.aclose()


async def test_a_patch_that_is_done_is_not_refused(store: Slow) -> None:
    agent = Agent(initial={"title": ""}, writable=["/title"])
    patch = [{"op": "replace", "path": "/title", "value": "Bees"}]
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run(thread_id="t")
        store.hold()
        request = asyncio.create_task(client.request("PATCH", "/threads/t/state", json=patch))
        await until(lambda: store.waiting)
        store.go_on(StoreUnavailable("away"))
        await until(lambda: hub(client).registry.journal.failing is not None)
        await asyncio.wait({request}, timeout=0.05)
        assert not request.done()
        store.go_on()
        assert (await request).status == 200
        assert await state(client) == {"title": "Bees"}


async def test_an_answer_that_was_delivered_is_not_refused(store: Slow) -> None:
    agent = Agent(commands=["reply"])

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        note(run, "asked")
        note(run, (await run.wait_for("reply")).body["text"])

    answer = {"type": "reply", "text": "yes", "id": "a"}
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "ask"}, thread_id="t")
        store.hold()
        requests = [
            asyncio.create_task(client.post(PATH, json={"commands": [answer], "threadId": "t"})) for _ in range(2)
        ]
        await until(lambda: store.waiting)
        store.go_on(StoreUnavailable("away"))
        await until(lambda: hub(client).registry.journal.failing is not None)
        await asyncio.wait(requests, timeout=0.05)
        store.go_on()
        answers = [await request for request in requests]
        assert 200 in {response.status for response in answers}
        await until(lambda: hub(client).runs == 0)
        assert await state(client) == {"notes": ["asked", "yes"]}
