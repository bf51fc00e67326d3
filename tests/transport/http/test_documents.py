"""Threads as documents: what an export has, an import takes, and what is wrong with one has no effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from statecast import Agent, Limits, Run, UntypedCommand, create_app
from statecast.stores import Store, StoreUnavailable
from statecast.testing import TestClient
from statecast.threads import Thread
from statecast.threads.log.stretch import Stretch
from statecast.threads.past import Past
from tests.transport.followers import state_of, store_of, until_status
from tests.transport.travels import SHORT, fork, read_history, rewind, said, states_of, without_ids, writer

pytestmark = pytest.mark.anyio

Document = dict[str, Any]

#: A document with a history, as an export has it.
SMALL: Final[Document] = {
    "statecast": 1,
    "threadId": "copy",
    "state": {"text": "ab"},
    "runs": [{"id": "r", "agent": "writer", "status": "completed", "queuedAt": 5, "endedAt": 6}],
    "history": [
        {"type": "snapshot", "revision": 7, "state": {}},
        {"type": "run", "revision": 8, "run": {"id": "r", "status": "running"}},
        {"type": "update-state", "revision": 9, "operations": [{"type": "set", "path": ["text"], "value": "a"}]},
        {
            "type": "update-state",
            "revision": 10,
            "operations": [{"type": "append-text", "path": ["text"], "value": "b"}],
        },
        {"type": "run", "revision": 11, "run": {"id": "r", "status": "completed"}},
    ],
}


@pytest.fixture(params=["memory", "shared", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return store_of(request.param, tmp_path)


async def test_a_document_breaks_off_where_its_history_cannot_be_read_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretch = Past.stretch
    asked = iter([False])

    async def away(past: Past, thread: Thread, revision: int) -> Stretch:
        if next(asked, True):
            raise StoreUnavailable("the store is away")
        return await stretch(past, thread, revision)

    app = create_app(writer(), store=store, limits=SHORT)
    async with TestClient(app) as client:
        await said(client, *["word " * 30] * 8)
        thread = await app.hub.find("t", owner=None)
        pieces = await app.hub.exports.begin(thread)
        monkeypatch.setattr(Past, "stretch", away)
        with pytest.raises(StoreUnavailable):
            b"".join([piece async for piece in pieces])


async def exported(client: TestClient, thread_id: str) -> Document:
    answer = await client.get(f"/threads/{thread_id}/export")
    assert answer.status == 200
    document: Document = answer.json()
    return document


async def imported(client: TestClient, document: Document) -> Document:
    """Import a document beside the thread that it was, and return what the new thread is exported as."""
    answer = await client.post("/threads/import", json={**document, "threadId": "copy"})
    assert answer.status == 201, answer.content
    assert answer.json()["revision"] == document["revision"]
    return await exported(client, "copy")


async def test_a_thread_has_its_history_and_its_runs_after_an_import(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store, limits=SHORT)) as client:
        await said(client, "one", *["word " * 30] * 4)
        document = await exported(client, "t")
        copy = await imported(client, document)
        assert without_ids(copy) == without_ids(document)
        assert {run["id"] for run in copy["runs"]}.isdisjoint(run["id"] for run in document["runs"])
        states = states_of(await read_history(client, "copy"))
        assert states == states_of(await read_history(client))
        earlier = max(states) // 2
        made = (await fork(client, earlier, "copy")).json()["threadId"]
        assert await state_of(client, made) == states[earlier]
        assert (await rewind(client, earlier, "copy")).status == 200
        await said(client, "two", thread_id="copy")
        assert (await state_of(client, "copy"))["memory"] == ["two"], "what the agent remembers is not in a document"
        assert (await exported(client, "copy"))["revision"] > document["revision"]


async def test_parts_outside_the_state_are_in_an_imported_history() -> None:
    agent = Agent("teller", initial={}, messages=None)

    @agent.on("tell")
    async def tell(run: Run, command: UntypedCommand) -> None:
        with run.parts.step("m"):
            run.parts.append_text("A bee ")
            call = run.parts.add_tool_call("look", {"at": "it"}, id="c")
            call.set_result({"seen": 1})
            run.parts.append_text("flew.")

    async with TestClient(create_app(agent)) as client:
        for _ in range(2):
            await client.run({"type": "tell"}, thread_id="t")
        document = await exported(client, "t")
        assert "part-start" in {frame["type"] for frame in document["history"]}
        assert without_ids(await imported(client, document)) == without_ids(document)


async def test_nobody_asks_an_imported_question_at_any_revision(store: Store) -> None:
    agent = Agent("asking", initial={})

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        run.state["asked"] = True
        run.ask("May I?", id="q")

    @agent.on("answer")
    async def answered(run: Run, command: Any) -> None:
        run.state["answers"] = dict(run.answers)

    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "ask"}, thread_id="t")
        open = await exported(client, "t")
        assert open["run"]["status"] == "waiting"
        asked = max(states_of(await read_history(client)))
        copy = await imported(client, open)
        assert (copy["state"], copy["run"]["status"]) == ({"asked": True, "pending": []}, "completed")
        assert [run["status"] for run in copy["runs"]] == ["completed"]

        await client.run({"type": "answer", "id": "a", "answers": {"q": True}}, thread_id="t")
        document = await exported(client, "t")
        again = await client.post("/threads/import", json={**document, "threadId": "later"})
        assert again.status == 201
        assert await state_of(client, "later") == document["state"]
        made = (await fork(client, asked, "later")).json()["threadId"]
        assert (await state_of(client, made))["pending"] == []
        assert (await client.get(f"/threads/{made}/state")).json()["run"] is None


async def test_a_run_that_was_under_way_is_interrupted_in_an_import(store: Store) -> None:
    agent = Agent("holding", initial={}, messages=None)

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state["held"] = True
        await run.wait_for("hold")

    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "hold"}, thread_id="t")
        await until_status(client, "waiting")
        document = await exported(client, "t")
        answer = await client.post("/threads/import", json={**document, "threadId": "copy"})
        assert answer.json()["revision"] == document["revision"] + 1
        copy = await exported(client, "copy")
        assert (copy["run"]["status"], copy["run"]["error"]["code"]) == ("interrupted", "run_interrupted")
        assert [run["status"] for run in copy["runs"]] == ["interrupted"]
        assert copy["history"][:-1] == without_ids_of(copy, document["history"])
        await client.post("/cancel", json={"threadId": "t"})
        assert (await client.get("/status/copy")).json()["status"] == "interrupted"


def without_ids_of(copy: Document, history: list[Any]) -> list[Any]:
    """Return a history with the id that its only run has in a copy."""
    text = json.dumps(history)
    (id,) = {frame["run"]["id"] for frame in history if "run" in frame}
    renamed: list[Any] = json.loads(text.replace(id, copy["run"]["id"]))
    return renamed


@pytest.mark.parametrize(("limits", "first"), [(Limits(history_entries=2), 9), (Limits(history_entries=0), 11)])
async def test_an_imported_history_is_as_long_as_any(limits: Limits, first: int, store: Store) -> None:
    async with TestClient(create_app(writer(), store=store, limits=limits)) as client:
        assert (await client.post("/threads/import", json=SMALL)).status == 201
        copy = await exported(client, "copy")
        assert (copy["revision"], copy["state"], len(copy["runs"])) == (11, {"text": "ab"}, 1)
        kept = [frame["revision"] for frame in copy["history"]]
        assert kept == list(range(first, 12)) or (not kept and not limits.history_entries)


async def test_what_is_not_given_is_made_up(store: Store) -> None:
    async with TestClient(create_app(writer(), store=store)) as client:
        bare = {name: SMALL[name] for name in ("statecast", "threadId", "state")}
        assert (await client.post("/threads/import", json=bare)).json()["revision"] == 0
        copy = await exported(client, "copy")
        assert (copy["state"], copy["runs"], copy["run"]) == ({"text": "ab"}, [], None)


def change(path: str, value: Any) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        at: Any = document
        for key in parents:
            at = at[key]
        at[last] = value

    return apply


def operation(path: list[str], value: Any, kind: str = "set") -> Callable[[Document], None]:
    return change("history.2.operations", [{"type": kind, "path": path, "value": value}])


WRONG: Final[dict[str, tuple[Callable[[Document], None], str]]] = {
    "no snapshot": (change("history", SMALL["history"][1:]), "invalid_request"),
    "no frame": (change("history.1", 5), "invalid_request"),
    "an unknown frame": (change("history.1.type", "magic"), "invalid_request"),
    "a gap": (change("history.2.revision", 12), "invalid_request"),
    "a revision before all": (change("history.0.revision", -1), "invalid_request"),
    "a revision beyond all": (change("history.0.revision", 2**53), "invalid_request"),
    "no number": (change("history.0.revision", "7"), "invalid_request"),
    "no operations": (change("history.2.operations", {"type": "set"}), "invalid_request"),
    "an unknown operation": (operation(["text"], "a", "remove"), "invalid_request"),
    "an operation that does not fit": (operation(["text"], "a", "append-text"), "invalid_request"),
    "a path through a text": (change("history.3.operations.0.path", ["text", "x"]), "invalid_request"),
    "a forbidden path": (operation(["__proto__", "x"], "a"), "invalid_request"),
    "a forbidden key": (operation(["text"], {"__proto__": 1}), "forbidden_key"),
    "too deep a path": (operation(["x"] * 5_000, 1), "invalid_request"),
    "another state": (change("state.text", "ac"), "invalid_request"),
    "an unknown status": (change("history.1.run.status", "flying"), "invalid_request"),
    "a part of nothing": (
        change("history.1", {"type": "text-delta", "revision": 8, "textDelta": "x", "path": [0]}),
        "invalid_request",
    ),
    "a part without a number": (
        change("history.1", {"type": "text-delta", "revision": 8, "runId": "r", "textDelta": "x", "path": ["x"]}),
        "invalid_request",
    ),
    "a run without an id": (change("runs", [{"agent": "writer", "status": "completed"}]), "invalid_request"),
    "a run twice": (change("runs", SMALL["runs"] * 2), "invalid_request"),
    "too many runs": (change("runs", [{**SMALL["runs"][0], "id": f"r{at}"} for at in range(101)]), "invalid_request"),
    "a run's time that is none": (change("runs.0.queuedAt", "soon"), "invalid_request"),
    "a number beyond all": (change("runs.0.queuedAt", 10**400), "number_out_of_range"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_document_with_something_wrong_makes_nothing(name: str) -> None:
    document = json.loads(json.dumps(SMALL))
    spoil, code = WRONG[name]
    spoil(document)
    async with TestClient(create_app(writer())) as client:
        answer = await client.post("/threads/import", json=document)
        assert (answer.status, answer.json()["error"]["code"]) == (422, code)
        assert (await client.get("/threads/copy")).status == 404
        assert (await client.post("/threads/import", json=SMALL)).status == 201


async def test_a_refusal_is_short_however_long_what_is_refused() -> None:
    document = json.loads(json.dumps(SMALL))
    document["history"][0]["type"] = "x" * 100_000
    async with TestClient(create_app(writer())) as client:
        answer = await client.post("/threads/import", json=document)
    assert (answer.status, len(answer.content) < 1_000) == (422, True)


async def test_times_of_the_future_are_those_of_now() -> None:
    document = json.loads(json.dumps(SMALL))
    document["runs"][0]["queuedAt"] = 10**15
    document["history"][4]["at"] = 10**15
    async with TestClient(create_app(writer())) as client:
        await client.post("/threads/import", json=document)
        await said(client, "one", thread_id="copy")
        runs = (await exported(client, "copy"))["runs"]
        assert len(runs) == 2
        assert runs[0]["queuedAt"] >= runs[1]["queuedAt"]
        assert runs[1]["endedAt"] == 6
