"""A run that has ended changes nothing, whoever still holds it: late writes × ways a run ends × stores."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statecast import AddMessage, Agent, Limits, Run, create_app
from statecast.errors import OperationError, RunEnded
from statecast.stores import MemoryStore, SqliteStore, Store
from statecast.testing import TestClient
from tests.transport.held_agent import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Write = Callable[["Left"], Any]


class Left:
    """What an agent's code still holds when its run is over."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.message = run.messages.assistant()
        self.message.append_text("before ")
        self.call = self.message.add_tool_call("look", {"q": 1})
        self.part = self.message.message["parts"][0]
        self.messages = run.messages
        self.items = run.state["messages"]
        run.state["n"] = 0
        run.memory["n"] = 0
        run.state["row"] = [3, 1, 2]
        self.row = run.state["row"]
        self.stream = run.parts.add_tool_call("elsewhere")


WRITES: dict[str, Write] = {
    "state[k] = v": lambda left: left.run.state.__setitem__("n", 1),
    "state = v": lambda left: setattr(left.run, "state", {"messages": []}),
    "state |= …": lambda left: left.run.state.__ior__({"n": 2}),
    "del state[k]": lambda left: left.run.state.__delitem__("n"),
    "state.clear()": lambda left: left.run.state.clear(),
    "run.append_text": lambda left: left.run.append_text(["messages", 0, "parts", 0, "text"], "x"),
    "run.apply": lambda left: left.run.apply({"type": "set"}),  # type: ignore[arg-type]  # refused before it is read
    "run.flush": lambda left: left.run.flush(),
    "run.listen": lambda left: left.run.listen(AddMessage),
    "run.messages.assistant": lambda left: left.run.messages.assistant(),
    "messages.last_assistant": lambda left: left.messages.last_assistant().append_text("x"),
    "messages.items": lambda left: left.messages.items.append({}),
    "message.append_text": lambda left: left.message.append_text("x"),
    "message.append_reasoning": lambda left: left.message.append_reasoning("x"),
    "message.add_tool_call": lambda left: left.message.add_tool_call("late", {}),
    "call.append_args": lambda left: left.call.append_args("x"),
    "call.set_result": lambda left: left.call.set_result(1),
    "a part's text": lambda left: left.part.append_text("text", "x"),
    "a part's key": lambda left: left.part.__setitem__("text", "x"),
    "a list's append": lambda left: left.row.append(4),
    "a list's sort": lambda left: left.row.sort(),
    "a list's slice": lambda left: left.row.__setitem__(slice(None), []),
    "a list's pop": lambda left: left.row.pop(),
    "a list's +=": lambda left: left.row.__iadd__([5]),
    "the messages' clear": lambda left: left.items.clear(),
    "memory[k] = v": lambda left: left.run.memory.__setitem__("n", 1),
    "memory.clear()": lambda left: left.run.memory.clear(),
    "parts.append_text": lambda left: left.run.parts.append_text("x"),
    "parts.add_source": lambda left: left.run.parts.add_source("https://example.com"),
    "parts.finish": lambda left: left.run.parts.finish(),
    "an open call among the parts": lambda left: left.stream.set_result(1),
}


@pytest.fixture(params=["memory", "sqlite", "shared"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "threads.db")


def leaving(left: list[Left], ends: str) -> Agent:
    """Return an agent that leaves what it holds behind, and whose run ends in a way."""
    agent = Agent(initial={"messages": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        if command.message.text != "go":
            run.messages.assistant().append_text("another run")
            return
        left.append(Left(run))
        await asyncio.sleep(0)
        if ends == "failed":
            raise ValueError("a failure")
        if ends in ("cancelled", "interrupted"):
            await asyncio.Event().wait()

    return agent


async def refused(write: Write, left: Left, *, elsewhere: bool) -> bool:
    """Whether a write raises, here or in a worker thread; a tool call among the parts was closed at the end."""
    try:
        await (asyncio.to_thread(write, left) if elsewhere else as_coroutine(write, left))
    except (RunEnded, OperationError):
        return True
    return False


async def as_coroutine(write: Write, left: Left) -> None:
    write(left)


async def end(client: TestClient, ends: str, begun: list[Left]) -> None:
    """Let a run of "go" on the thread `t` end in a way."""
    if ends in ("completed", "failed"):
        await client.run("go", thread_id="t")
        return
    running = asyncio.ensure_future(client.run("go", thread_id="t"))
    await until(lambda: bool(begun))
    if ends == "cancelled":
        assert (await client.post("/cancel", json={"threadId": "t"})).status == 200
    else:
        message = {"role": "user", "parts": [{"type": "text", "text": "instead"}]}
        body = {"threadId": "t", "policy": "interrupt", "commands": [{"type": "add-message", "message": message}]}
        await client.post("/assistant", json=body)
    await running


async def state_of(client: TestClient) -> Any:
    """Return the thread as it is: its state and its revision."""
    answer = (await client.get("/threads/t/state")).json()
    return answer["state"], answer["revision"]


@pytest.mark.parametrize("ends", ["completed", "failed", "cancelled", "interrupted"])
async def test_what_a_run_left_behind_is_refused_at_the_line_that_writes(store: Store, ends: str) -> None:
    left: list[Left] = []
    app = create_app(leaving(left, ends), store=store)
    async with TestClient(app) as client:
        await end(client, ends, left)
        before = await state_of(client)
        for elsewhere in (False, True):
            taken = [name for name, write in WRITES.items() if not await refused(write, left[0], elsewhere=elsewhere)]
            assert taken == []
        assert await state_of(client) == before
        await client.run("next", thread_id="t")
        then = await state_of(client)
        assert [name for name, write in WRITES.items() if not await refused(write, left[0], elsewhere=False)] == []
        assert await state_of(client) == then


async def test_a_late_write_never_reaches_a_run_that_is_under_way(store: Store) -> None:
    left: list[Left] = []
    agent = Agent(initial={"messages": []})
    go_on = asyncio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        left.append(Left(run))
        if command.message.text == "second":
            run.messages.assistant().append_text("second ")
            await go_on.wait()
            run.messages.last_assistant().append_text("run")

    async with TestClient(create_app(agent, store=store)) as client:
        await client.run("first", thread_id="t")
        second = asyncio.ensure_future(client.run("second", thread_id="t"))
        await until(lambda: len(left) == 2)
        assert [name for name, write in WRITES.items() if not await refused(write, left[0], elsewhere=True)] == []
        go_on.set()
        result = await second
        assert result.error is None
        assert result.state["messages"][-1]["parts"][-1]["text"] == "second run"


async def test_what_has_ended_can_still_be_read(store: Store) -> None:
    left: list[Left] = []
    async with TestClient(create_app(leaving(left, "completed"), store=store)) as client:
        await client.run("go", thread_id="t")
        await client.run("next", thread_id="t")
        assert left[0].run.state["n"] == 0
        assert left[0].row == [3, 1, 2]
        assert [message["role"] for message in left[0].run.state["messages"]] == ["user", "assistant"]
        with pytest.raises(RunEnded, match=left[0].run.id):
            left[0].run.state["messages"][0]["role"] = "assistant"


async def test_a_worker_thread_that_goes_on_writes_up_to_the_end_of_its_run_and_no_further(store: Store) -> None:
    agent = Agent(initial={"messages": [], "n": 0})
    ended: list[type[BaseException]] = []
    begun, gone = threading.Event(), threading.Event()

    def work(run: Run) -> None:
        begun.set()
        try:
            while True:
                run.state["n"] += 1
                run.parts.append_text("x")
        except BaseException as error:
            ended.append(type(error))
        gone.set()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.to_thread(work, run)

    async with TestClient(create_app(agent, store=store)) as client:
        running = asyncio.ensure_future(client.run("go", thread_id="t"))
        await asyncio.to_thread(begun.wait)
        await client.post("/cancel", json={"threadId": "t"})
        await running
        before = await state_of(client)
        await asyncio.to_thread(gone.wait)
        assert ended == [RunEnded]
        assert await state_of(client) == before


@pytest.mark.parametrize("gone", ["deleted", "let go", "let go and loaded"])
async def test_a_thread_that_left_memory_is_not_written_by_what_its_runs_left(store: Store, gone: str) -> None:
    left: list[Left] = []
    limits = Limits(idle_seconds=0.05) if gone != "deleted" else Limits()
    app = create_app(leaving(left, "completed"), store=store, limits=limits)
    async with TestClient(app) as client:
        await client.run("go", thread_id="t")
        await client.run("go", thread_id="other")
        before = await state_of(client)
        if gone == "deleted":
            assert (await client.request("DELETE", "/threads/t")).status == 204
        else:
            await until(lambda: app.hub.loaded("t") is None)
        if gone == "let go and loaded":
            assert await state_of(client) == before
        assert [name for name, write in WRITES.items() if not await refused(write, left[0], elsewhere=True)] == []
        if gone != "deleted":
            assert await state_of(client) == before
        assert (await client.run("next", thread_id="other")).error is None


async def test_what_a_run_has_said_can_still_be_read_through_it() -> None:
    agent, left = Agent("echo", initial={"messages": []}), list[Run]()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("You said it")
        left.append(run)

    async with TestClient(agent) as client:
        await client.run("hi")
        said = [message["parts"][0]["text"] for message in left[0].messages.items]

    assert said == ["hi", "You said it"]
