"""Earlier revisions: a reader begins where a history begins, and a thread goes on from any revision of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import Agent, Limits, Run, UntypedCommand, Uploads, create_app
from statecast.client import Client
from statecast.stores import Key, MemoryStore, Store, StoreUnavailable
from statecast.testing import TestClient
from statecast.threads import Thread
from statecast.threads.past import Past
from tests.transport.followers import following, served, state_of, store_of, until_status
from tests.transport.travels import SHORT, first_answer, fork, read_history, rewind, said, states_of, writer

pytestmark = pytest.mark.anyio

#: A message as a page has written it into a history, in an exported document.
WRITTEN: Final[dict[str, Any]] = {
    "id": "m",
    "parent_id": None,
    "format": "aui/v0",
    "content": {"role": "user", "content": []},
    "created": 1.0,
    "updated": 1.0,
}

STORES: Final = ["memory", "shared", "sqlite"]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return store_of(request.param, tmp_path)


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
        first = first_answer(states)
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
        first = first_answer(states)
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


async def test_the_history_is_bounded_and_says_where_it_begins(store: Store) -> None:
    limits = Limits(keep_entries=4, keep_bytes=4_000, history_entries=100)
    async with TestClient(create_app(writer(), store=store, limits=limits)) as client:
        for number in range(12):
            await said(client, f"{number} " * 30)
        with anyio.fail_after(30):
            while not await says_where_it_begins(client):  # the last compactions still remove what was just read
                pass


async def says_where_it_begins(client: TestClient) -> bool:
    """Return whether the history, what is refused before it, and a fork of its first revision agree."""
    history = await read_history(client)
    if history.kinds.count("snapshot") != 1:  # a part of it was removed while it was read
        return False
    begins = history.frames[0]["revision"]
    assert 0 < begins < history.revision
    assert [frame["revision"] for frame in history.frames] == list(range(begins, history.revision + 1))
    for answer in (await fork(client, begins - 1), await rewind(client, begins - 1)):
        error = answer.json()["error"]
        assert (answer.status, error["code"]) == (410, "revision_gone")
        if error["begins"] != begins:
            return False
    return (await fork(client, begins)).status == 201


async def test_a_history_whose_oldest_part_goes_meanwhile_is_read_from_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begins, asked = Past.begins, iter([-1])

    async def late(past: Past, thread: Thread) -> int:
        return next(asked, None) or await begins(past, thread)

    async with TestClient(create_app(writer(), limits=SHORT)) as client:
        await said(client, *["word " * 30] * 8)
        monkeypatch.setattr(Past, "begins", late)
        history = await read_history(client)
    assert history.kinds.count("snapshot") == 1
    assert history.frames[0]["revision"] == 0


async def test_no_history_is_kept_where_none_is_wanted(store: Store) -> None:
    limits = Limits(keep_entries=4, keep_bytes=4_000, history_entries=0)
    async with TestClient(create_app(writer(), store=store, limits=limits)) as client:
        for number in range(12):
            await said(client, f"{number} " * 30)
        history = await read_history(client)
        assert history.state == await state_of(client)
        assert (await rewind(client, 0)).status == 410
        assert (await fork(client, history.revision)).status == 201


def holding() -> tuple[Agent, anyio.Event]:
    """Return an agent that goes on when the event is set, or its run is cancelled."""
    agent, go = Agent("holding", initial={"done": 0}), anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state["held"] = True
        await go.wait()

    @agent.on("do")
    async def do(run: Run, command: UntypedCommand) -> None:
        run.state["done"] += 1

    return agent, go


async def test_a_thread_is_rewound_under_a_run_only_if_the_run_may_be_stopped(store: Store) -> None:
    agent, _ = holding()
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "do"}, thread_id="t")
        async with client.stream("POST", "/assistant", json={"threadId": "t", "commands": [{"type": "hold"}]}):
            await until_status(client, "running")
            refused = await rewind(client, 0)
            assert (refused.status, refused.json()["error"]["code"]) == (409, "run_active")
            assert (await fork(client, 0)).status == 201
            assert (await rewind(client, 0, cancel=True)).status == 200
            assert await state_of(client) == {"done": 0}
            await until_status(client, "cancelled")


async def test_a_rewind_that_comes_again_happens_once(store: Store) -> None:
    agent, _ = holding()
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "do"}, thread_id="t")
        path, body, key = "/threads/t/rewind", {"revision": 0}, {"idempotency-key": "k"}
        assert (await client.post(path, json=body, headers=key)).status == 200
        await client.run({"type": "do"}, thread_id="t")
        assert (await client.post(path, json=body, headers=key)).status == 200
        assert await state_of(client) == {"done": 1}


WRONG: Final[list[tuple[str, dict[str, Any], int, str]]] = [
    ("/threads/t/fork", {"revision": 99}, 404, "unknown_revision"),
    ("/threads/t/rewind", {"revision": 99}, 404, "unknown_revision"),
    ("/threads/t/fork", {"revision": 0, "threadId": "t"}, 409, "thread_exists"),
    ("/threads/t/fork", {"revision": 0, "threadId": "no such/id"}, 422, "invalid_thread_id"),
    ("/threads/t/fork", {"revision": -1}, 410, "revision_gone"),
    ("/threads/t/fork", {"revision": "0"}, 422, "invalid_request"),
    ("/threads/t/rewind", {}, 422, "invalid_request"),
    ("/threads/other/fork", {"revision": 0}, 404, "unknown_thread"),
    ("/threads/other/rewind", {"revision": 0}, 404, "unknown_thread"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), WRONG)
async def test_what_is_wrong_is_refused(path: str, body: dict[str, Any], status: int, code: str, store: Store) -> None:
    agent, _ = holding()
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "do"}, thread_id="t")
        before = (await client.get("/threads/t/state")).json()
        answer = await client.post(path, json=body)
        assert (answer.status, answer.json()["error"]["code"]) == (status, code)
        assert (await client.get("/threads/t/state")).json() == before


async def test_a_thread_of_somebody_else_is_neither_read_nor_forked_nor_rewound() -> None:
    agent, _ = holding()

    async def identify(request: HTTPConnection) -> str | None:
        return request.headers.get("x-user")

    app = create_app(agent, identify=identify)
    async with TestClient(app) as client:
        ada, eve = {"x-user": "ada"}, {"x-user": "eve"}
        body = {"threadId": "t", "commands": [{"type": "do"}]}
        await client.post("/assistant", json=body, headers=ada)
        assert (await client.get("/threads/t/events?cursor=start", headers=eve)).status == 404
        for what in ("fork", "rewind"):
            assert (await client.post(f"/threads/t/{what}", json={"revision": 0}, headers=eve)).status == 404
        made = await client.post("/threads/t/fork", json={"revision": 0, "threadId": "f"}, headers=ada)
        assert made.status == 201
        assert (await client.get("/threads/f/state", headers=eve)).status == 404
        assert (await client.get("/threads/f/state", headers=ada)).status == 200


async def test_the_title_and_what_pages_wrote_go_with_a_fork(store: Store) -> None:
    agent, _ = holding()
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "do"}, thread_id="t")
        await client.request("PATCH", "/threads/t", json={"title": "Bees"})
        made = (await fork(client, 1)).json()["threadId"]
        assert (await client.get(f"/threads/{made}")).json()["title"] == "Bees"


async def test_open_questions_stay_open_in_a_fork(store: Store) -> None:
    agent = Agent("asking", initial={})

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        run.ask("May I?", id="q")

    @agent.on("answer")
    async def answered(run: Run, command: Any) -> None:
        run.state["answers"] = dict(run.answers)

    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "ask"}, thread_id="t")
        now = (await client.get("/threads/t/state")).json()
        made = (await fork(client, now["revision"])).json()["threadId"]
        assert (await client.get(f"/status/{made}")).json()["status"] == "waiting"
        assert await state_of(client, made) == now["state"]
        await client.post("/cancel", json={"threadId": "t"})
        assert (await client.get("/status/t")).json()["status"] == "cancelled"
        assert (await rewind(client, now["revision"])).status == 200
        assert (await client.get("/status/t")).json()["status"] == "waiting"
        assert (await client.get(f"/status/{made}")).json()["status"] == "waiting"


async def test_a_thread_is_made_of_what_another_was_exported_as(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one", "two")
        await client.request("PATCH", "/threads/t", json={"title": "Bees"})
        document = (await client.get("/threads/t/export")).json()
        state = await state_of(client)
        assert (document["statecast"], document["title"], document["state"]) == (1, "Bees", state)
        assert document["history"] == (await read_history(client)).frames
        assert (await client.post("/threads/import", json=document)).status == 409
        made = await client.post("/threads/import", json={**document, "threadId": "copy"})
        assert made.status == 201
        assert await state_of(client, "copy") == state
        assert (await client.get("/threads/copy")).json()["title"] == "Bees"
        for wrong in ({}, {**document, "statecast": 2}, {**document, "messages": [1], "threadId": "x"}):
            assert (await client.post("/threads/import", json=wrong)).status == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x" * 1_001},
        {"messages": [{**WRITTEN, "id": "x" * 129}]},
        {"messages": [{**WRITTEN, "id": ""}]},
        {"messages": [{**WRITTEN, "parent_id": ""}]},
        {"messages": [{**WRITTEN, "external_id": "x" * 256}]},
        {"messages": [{**WRITTEN, "format": "x" * 101}]},
        {"messages": [{**WRITTEN, "created": -1.0}]},
        {"messages": [WRITTEN, WRITTEN]},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
async def test_a_document_keeps_within_what_a_page_may_write(wrong: dict[str, Any]) -> None:
    async with TestClient(create_app(writer())) as client:
        document = {"statecast": 1, "threadId": "t", "state": {}}
        answer = await client.post("/threads/import", json={**document, **wrong})
        assert (answer.status, answer.json()["error"]["code"]) == (422, "invalid_request")
        assert (await client.get("/threads/t")).status == 404


async def test_a_message_that_a_page_has_deleted_stays_deleted_in_an_import(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one", "two")
        messages = (await client.get("/threads/t/messages")).json()["messages"]
        for item in messages:
            await client.post("/threads/t/messages", json=item)
        last = messages[-1]["message"]["id"]
        assert (await client.request("DELETE", f"/threads/t/messages/{last}")).status == 204
        document = (await client.get("/threads/t/export")).json()
        assert document["deleted"] == [last]
        await client.post("/threads/import", json={**document, "threadId": "copy"})
        left = (await client.get("/threads/copy/messages")).json()["messages"]
        assert [item["message"]["id"] for item in left] == [item["message"]["id"] for item in messages[:-1]]
        again = (await client.get("/threads/copy/export")).json()
        assert (again["messages"], again["deleted"]) == (document["messages"], document["deleted"])


async def test_a_message_of_the_future_is_imported_as_of_now() -> None:
    async with TestClient(create_app(writer())) as client:
        future = {**WRITTEN, "created": 1e300, "updated": 1e300}
        document = {"statecast": 1, "threadId": "t", "state": {}, "messages": [future]}
        assert (await client.post("/threads/import", json=document)).status == 201
        (message,) = (await client.get("/threads/t/messages")).json()["messages"]
        assert datetime.fromisoformat(message["message"]["createdAt"]) <= datetime.now(UTC)


async def test_an_agent_that_adopts_nothing_imports_nothing() -> None:
    async with TestClient(create_app(Agent("closed", adopt=False))) as client:
        answer = await client.post("/threads/import", json={"statecast": 1, "state": {}})
        assert (answer.status, answer.json()["error"]["code"]) == (403, "not_adopted")


async def test_the_client_forks_and_rewinds() -> None:
    app = create_app(writer())
    async with served(app) as server:
        port = server.port  # type: ignore[attr-defined]  # of `served`
        async with Client(f"http://127.0.0.1:{port}", patience=5) as client:
            thread = client.thread("t")
            first = await thread.ask("one")
            await thread.ask("two")
            made = await thread.fork(first.revision)
            assert (await made.state()).state == first.state
            assert await thread.rewind(first.revision) == (await thread.state()).cursor
            assert (await thread.state()).state == first.state
            copy = await client.import_thread(await thread.export())
            assert (await copy.state()).state == first.state


async def test_a_thread_without_files_is_deleted_without_a_look_at_its_copies() -> None:
    looked: list[str] = []

    class Watched(MemoryStore):
        async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
            looked.append(key.thread_id)
            return await super().records(key, kind)

    async with TestClient(create_app(writer(), store=Watched(), uploads=Uploads())) as client:
        await said(client, "one")
        made = [(await fork(client, 0)).json()["threadId"] for _ in range(3)]
        looked.clear()
        assert (await client.request("DELETE", "/threads/t")).status == 204
        assert not set(looked) & set(made)


async def test_a_file_stays_until_the_last_thread_with_it_is_deleted(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store, uploads=Uploads())) as client:
        png = {"content-type": "image/png"}
        file = (await client.post("/attachments?name=bees.png", content=b"bees", headers=png)).json()
        await said(client, file["url"])
        revision = (await client.get("/threads/t/state")).json()["revision"]
        first = (await fork(client, revision)).json()["threadId"]
        second = (await fork(client, 0, first)).json()["threadId"]
        path = f"/attachments/{file['id']}"
        for thread_id, status in (("t", 200), (first, 200), (second, 404)):
            assert (await client.request("DELETE", f"/threads/{thread_id}")).status == 204
            assert (await client.get(path)).status == status


async def test_a_history_that_cannot_be_read_now_is_not_damaged() -> None:
    class Away(MemoryStore):
        away = False

        async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
            if self.away and kind.startswith("history"):
                raise StoreUnavailable("the store is away")
            return await super().records(key, kind)

    store = Away()
    async with TestClient(create_app(writer(), store=store)) as client:
        await said(client, "one")
        store.away = True
        for answer in (await fork(client, 1), await rewind(client, 1)):
            assert (answer.status, answer.json()["error"]["code"]) == (503, "store_unavailable")
        store.away = False
        assert (await fork(client, 1)).status == 201
