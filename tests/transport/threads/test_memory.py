"""What an agent keeps for itself on a thread: durable, taken back with the conversation, and nobody else's."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from statecast import AddMessage, Agent, Limits, Run, UntypedCommand, create_app
from statecast.errors import MemoryTooLarge, NotJson, RunEnded
from statecast.state import Json
from statecast.stores import MEMORY, Key, RecordWritten, SqliteStore, Store
from statecast.testing import TestClient
from tests.transport.followers import PATH, crashed, posted, reopened, state_of, status_of, store_of
from tests.transport.held_agent import said, until

pytestmark = pytest.mark.anyio

both_stores = pytest.mark.parametrize("kind", ["memory", "sqlite", "shared"])
KEY = Key(None, "t")


def keeper(**settings: Any) -> Agent:
    """Return an agent that answers with the questions that it has kept."""
    agent = Agent("keeper", **settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        run.memory["asked"] = [*run.memory.get("asked", []), command.message.text]
        run.memory["raw"] = run.memory.get("raw", b"") + command.message.text.encode()
        message.append_text(" ".join(run.memory["asked"]))
        assert run.memory["raw"].decode() == "".join(run.memory["asked"])

    return agent


def text_of(state: Json, index: int = -1) -> str:
    text: str = state["messages"][index]["parts"][-1]["text"]
    return text


def ids_of(state: Json) -> list[str]:
    return [message["id"] for message in state["messages"]]


@both_stores
async def test_it_is_there_in_the_next_run_and_after_a_restart(tmp_path: Path, kind: str) -> None:
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(keeper(), store=store)) as client:
        await client.run("one", thread_id="t")
        assert text_of((await client.run("two", thread_id="t")).state) == "one two"
        assert text_of((await client.run("other", thread_id="u")).state) == "other"
    async with TestClient(create_app(keeper(), store=reopened(store))) as client:
        assert text_of((await client.run("three", thread_id="t")).state) == "one two three"


@both_stores
async def test_it_is_there_when_a_thread_was_unloaded(tmp_path: Path, kind: str) -> None:
    limits = Limits(idle_seconds=0, heartbeat_seconds=0.01)
    app = create_app(keeper(), store=store_of(kind, tmp_path), limits=limits)
    async with TestClient(app) as client:
        await client.run("one", thread_id="t")
        await until(lambda: app.hub.threads == 0)
        assert text_of((await client.run("two", thread_id="t")).state) == "one two"


@both_stores
async def test_an_edit_takes_it_back(tmp_path: Path, kind: str) -> None:
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(keeper(), store=store)) as client:
        for text in ("one", "two", "three"):
            state = (await client.run(text, thread_id="t")).state
        ids = ids_of(state)
        edited = await client.run(said("2", parentId=ids[1], sourceId=ids[2]), thread_id="t")
        assert text_of(edited.state) == "one 2"
    async with TestClient(create_app(keeper(), store=reopened(store))) as client:
        edited = await client.run(said("zwei", parentId=ids[1], sourceId=ids_of(edited.state)[2]), thread_id="t")
        assert text_of(edited.state) == "one zwei"
        edited = await client.run(said("1", parentId=None, sourceId=ids[0]), thread_id="t")
        assert text_of(edited.state) == "1"


async def test_a_message_behind_an_earlier_one_takes_it_back_if_its_client_has_seen_all() -> None:
    async with TestClient(keeper()) as client:
        for text in ("one", "two"):
            state = (await client.run(text, thread_id="t")).state
        behind = said("2", parentId=ids_of(state)[1], sourceId=None)
        assert text_of((await client.run(behind, thread_id="t")).state) == "one two 2"
        state = await state_of(client)
        assert text_of((await client.run(behind, thread_id="t", state=state)).state) == "one 2"


@both_stores
async def test_a_patch_that_removes_messages_takes_it_back(tmp_path: Path, kind: str) -> None:
    patch_type = {"content-type": "application/json-patch+json"}
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(keeper(writable=["/messages"]), store=store)) as client:
        for text in ("one", "two", "three"):
            await client.run(text, thread_id="t")
        for steps in (
            [{"op": "replace", "path": "/messages/0/parts/0/text", "value": "uno"}],  # nothing is removed
            [{"op": "remove", "path": "/messages/2"}, {"op": "remove", "path": "/messages/2"}],
        ):
            changed = await client.request("PATCH", "/threads/t/state", json=steps, headers=patch_type)
            assert changed.status == 200
            if steps[0]["op"] == "replace":
                assert text_of((await client.run("four", thread_id="t")).state) == "one two three four"
    async with TestClient(create_app(keeper(), store=reopened(store))) as client:
        assert text_of((await client.run("five", thread_id="t")).state) == "one five"


async def test_an_answer_that_is_generated_again_finds_what_the_first_one_found() -> None:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "one"}]}
    async with TestClient(keeper()) as client:
        for trigger in ("submit-message", "regenerate-message", "regenerate-message"):
            answer = await client.post("/chat", json={"id": "t", "messages": [message], "trigger": trigger})
            assert answer.status == 200
            assert text_of(await state_of(client)) == "one"


async def test_a_branch_of_a_posted_history_takes_it_back() -> None:
    def history(*texts: str) -> dict[str, Any]:
        roles = ["user", "assistant"]
        messages = [
            {"id": f"{roles[turn % 2]}-{text}", "role": roles[turn % 2], "content": text}
            for turn, text in enumerate(texts)
        ]
        more: dict[str, Any] = {"tools": [], "context": [], "state": None, "forwardedProps": {}}
        return {"threadId": "t", "runId": f"r-{'-'.join(texts)}", "messages": messages, **more}

    async with TestClient(keeper()) as client:
        for texts in (["one"], ["one", "one", "two"], ["one", "one", "other"], ["one", "one", "two"]):
            assert (await client.post("/ag-ui", json=history(*texts))).status == 200
            assert text_of(await state_of(client)) == " ".join(texts[::2])


@pytest.mark.parametrize("ends", ["interrupt", "rollback"])
@both_stores
async def test_a_rollback_puts_it_back_and_an_interruption_does_not(tmp_path: Path, kind: str, ends: Any) -> None:
    agent = Agent(policy=ends, messages=None)
    began = asyncio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.memory["a"] = "held"
        del run.memory["gone"]
        run.state = "held"
        began.set()
        await asyncio.Event().wait()

    @agent.on("look")
    async def look(run: Run, command: UntypedCommand) -> None:
        run.state = dict(run.memory)

    @agent.on("begin")
    async def begin(run: Run, command: UntypedCommand) -> None:
        run.memory.update(a="before", gone=1)

    expected = {"a": "before", "gone": 1} if ends == "rollback" else {"a": "held"}
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(agent, store=store)) as client:
        await client.run({"type": "begin"}, thread_id="t")
        async with client.stream("POST", PATH, json=posted({"type": "hold"})):
            await began.wait()
            assert (await client.run({"type": "look"}, thread_id="t")).state == expected
    async with TestClient(create_app(agent, store=reopened(store))) as client:
        assert (await client.run({"type": "look"}, thread_id="t")).state == expected


async def test_a_rollback_of_an_edit_brings_back_what_the_edit_took() -> None:
    agent, waiting = Agent(policy="rollback"), asyncio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        run.memory["asked"] = [*run.memory.get("asked", []), command.message.text]
        message.append_text(" ".join(run.memory["asked"]))
        if command.message.text == "wait":
            waiting.set()
            await asyncio.Event().wait()

    async with TestClient(agent) as client:
        for text in ("one", "two"):
            state = (await client.run(text, thread_id="t")).state
        edit = said("wait", parentId=None, sourceId=ids_of(state)[0])
        async with client.stream("POST", PATH, json=posted(edit)):
            await waiting.wait()
            assert text_of((await client.run("three", thread_id="t")).state) == "one two three"


@pytest.mark.parametrize("ends", ["failed", "cancelled"])
async def test_what_a_run_kept_stays_however_it_ends(ends: str) -> None:
    agent = keeper()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.memory["asked"] = ["kept"]
        run.state["begun"] = True
        if ends == "failed":
            raise ValueError
        await asyncio.Event().wait()

    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted({"type": "work"}, state={})) as response:
            await response.read_until(b"begun")
            await client.post("/cancel", json={"threadId": "t"})
        run = await client.run("on", thread_id="t")
    assert text_of(run.state) == "kept on"


async def test_a_run_that_has_ended_cannot_write_and_reads_what_it_left() -> None:
    agent, runs = Agent(), []

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        runs.append(run)
        run.memory["n"] = run.memory.get("n", 0) + 1

    async with TestClient(agent) as client:
        await client.run("one", thread_id="t")
        await client.run("two", thread_id="t")
        for run in runs:
            with pytest.raises(RunEnded):
                run.memory["n"] = 7
        assert [run.memory["n"] for run in runs] == [1, 2]


async def test_a_worker_thread_may_write_and_what_it_writes_is_stored_in_order(tmp_path: Path) -> None:
    agent, release = Agent(), threading.Event()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for number in range(20):
            run.memory["done"] = number
            message.append_text(f"{number} ")
        release.wait()

    store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(agent, store=store)) as client:
        async with client.stream("POST", PATH, json=posted(said("go"))) as response:
            await response.read_until(b"19 ")
            found = await crashed_memory(store, tmp_path)
            release.set()
            await response.read()
    assert found["done"] == 19


async def crashed_memory(store: SqliteStore, folder: Path) -> dict[str, Any]:
    """Return the memory that another process finds when this one is killed now."""
    agent, copies = Agent(), folder / "crashed"
    copies.mkdir()

    @agent.on("look")
    async def look(run: Run, command: UntypedCommand) -> None:
        run.state["memory"] = dict(run.memory)

    async with TestClient(create_app(agent, store=crashed(store, copies))) as client:
        memory: dict[str, Any] = (await client.run({"type": "look"}, thread_id="t")).state["memory"]
        return memory


async def test_what_a_client_has_seen_comes_after_what_was_kept_before_it(tmp_path: Path) -> None:
    agent, steps = Agent(), [asyncio.Event() for _ in range(3)]

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for number, step in enumerate(steps):
            message.append_text(f"before {number} ")
            run.memory["step"] = number
            message.append_text(f"step {number} ")
            await step.wait()

    store = SqliteStore(tmp_path / "threads.db")
    async with (
        TestClient(create_app(agent, store=store)) as client,
        client.stream("POST", PATH, json=posted(said("go"))) as response,
    ):
        for number, step in enumerate(steps):
            await response.read_until(f"step {number} ".encode())
            folder = tmp_path / str(number)
            folder.mkdir()
            assert (await crashed_memory(store, folder))["step"] == number
            step.set()
        await response.read()


# Whose it is


@both_stores
async def test_it_goes_with_the_thread(tmp_path: Path, kind: str) -> None:
    store = store_of(kind, tmp_path)
    app = create_app(keeper(), store=store, open_list=True)
    async with TestClient(app) as client:
        await client.run("one", thread_id="t")
        assert len(await store.records(KEY, MEMORY)) == 1
        await app.hub.move(None, "ann")
        assert await store.records(KEY, MEMORY) == []
        assert len(await store.records(Key("ann", "t"), MEMORY)) == 1
        await app.hub.delete("t", owner="ann")
        assert await store.records(Key("ann", "t"), MEMORY) == []
        assert text_of((await client.run("two", thread_id="t")).state) == "two"


async def test_a_run_on_a_thread_that_is_deleted_leaves_nothing_behind(tmp_path: Path) -> None:
    agent, began = Agent(), asyncio.Event()
    store = SqliteStore(tmp_path / "threads.db")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.memory["a"] = 1
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            run.memory["b"] = 2

    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(said("go"))):
        await began.wait()
        await app.hub.delete("t")
        assert await store.records(KEY, MEMORY) == []


async def test_no_response_has_it() -> None:
    agent = Agent("keeper")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.memory["hush-name"] = {"key": "hush-value"}
        run.messages.assistant().append_text("done")

    app = create_app(agent, open_list=True)
    async with TestClient(app) as client:
        ran = await client.post(PATH, json=posted(said("go")))
        bodies = [ran.content]
        paths = ("/threads", "/threads/t", "/threads/t/state", "/status/t", "/threads/t/history", "/openapi.json")
        bodies += [(await client.get(path)).content for path in paths]
        bodies.append((await client.post("/resume", json={"threadId": "t", "commands": []})).content)
        async with client.stream("GET", "/threads/t/events") as events:
            bodies.append(await events.read_until(b"done"))
    assert b"done" in b"".join(bodies)
    assert [body for body in bodies if b"hush" in body] == []


async def test_it_does_not_count_against_the_state_but_has_a_limit_of_its_own() -> None:
    agent, refused = Agent(), []

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.memory["large"] = bytes(3_000)
        for name, value in (("more", bytes(2_000)), ("odd", {1, 2})):
            try:
                run.memory[name] = value
            except (MemoryTooLarge, NotJson) as error:
                refused.append(error.code)
        run.state["names"] = list(run.memory)

    async with TestClient(create_app(agent, limits=Limits(state=1_000, memory=4_000))) as client:
        state = (await client.run("go", thread_id="t")).state
    assert (state["names"], refused) == (["large"], ["memory_too_large", "not_json"])


async def test_a_write_beyond_the_limit_fails_the_run_with_its_code() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.memory["large"] = bytes(2_000)

    async with TestClient(create_app(agent, limits=Limits(memory=1_000))) as client:
        await client.run("go", thread_id="t")
        run = (await client.get("/threads/t/state")).json()["run"]
    assert (run["status"], run["error"]["code"]) == ("failed", "memory_too_large")


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03"], ids=["empty", "no msgpack", "another shape"])
async def test_a_memory_that_is_damaged_damages_its_thread_only(tmp_path: Path, data: bytes) -> None:
    store: Store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(keeper(), store=store)) as client:
        for thread_id in ("t", "u"):
            await client.run("one", thread_id=thread_id)
    store = reopened(store)
    await store.open()
    await store.commit([RecordWritten(KEY, MEMORY, "1", data)])
    await store.aclose()
    async with TestClient(create_app(keeper(), store=reopened(store))) as client:
        assert (await client.get("/status/t")).json()["error"]["code"] == "thread_damaged"
        assert await status_of(client, "u") == "completed"
        assert text_of((await client.run("two", thread_id="u")).state) == "one two"


async def test_a_thread_without_one_writes_nothing(tmp_path: Path) -> None:
    agent = Agent()
    store = SqliteStore(tmp_path / "threads.db")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("nothing to keep" if not run.memory else "?")

    async with TestClient(create_app(agent, store=store)) as client:
        state = (await client.run("one", thread_id="t")).state
        await client.run(said("two", parentId=None, sourceId=ids_of(state)[0]), thread_id="t")
        assert await store.records(KEY, MEMORY) == []
