"""Generators and callbacks: what a function yields or emits is shown, and a stop reaches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from statecast import AddMessage, Agent, Run
from statecast.errors import RunEnded
from statecast.frameworks import CallbackAgent, GeneratorAgent, State, run_callbacks, run_generator
from statecast.testing import TestClient
from statecast_agents import Json
from tests.frameworks.provider import until
from tests.frameworks.runs import run_on, said

pytestmark = pytest.mark.anyio

SOURCE = {"type": "source", "sourceType": "url", "id": "s", "url": "https://example.com"}
#: What is yielded, and the parts that it becomes.
ITEMS: list[Json] = [
    {"type": "reasoning", "text": "H"},
    {"type": "reasoning", "text": "m"},
    None,
    "",
    "Ye",
    {"type": "text", "text": "s"},
    {"type": "tool-call", "toolCallId": "c1", "toolName": "f"},
    {"type": "tool-call", "toolCallId": "c2", "toolName": "g", "args": {"b": 2}},
    {"type": "tool-call", "toolCallId": "c1", "argsText": '{"a"'},
    {"type": "tool-call", "toolCallId": "c1", "argsText": ":1}"},
    {"type": "tool-call", "toolCallId": "c2", "result": [1], "isError": True, "artifact": {"x": 1}},
    SOURCE,
    "So",
]
PARTS: list[Json] = [
    {"type": "reasoning", "text": "Hm"},
    {"type": "text", "text": "Yes"},
    {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}, "argsText": '{"a":1}'},
    {
        "type": "tool-call",
        "toolCallId": "c2",
        "toolName": "g",
        "args": {"b": 2},
        "argsText": '{"b":2}',
        "result": [1],
        "isError": True,
        "artifact": {"x": 1},
    },
    SOURCE,
    {"type": "text", "text": "So"},
]


async def _async_generator(run: Run) -> AsyncIterator[Json]:
    for item in ITEMS:
        yield item


def _generator(run: Run) -> Iterator[Json]:
    yield from ITEMS


async def _async_callback(run: Run, emit: Callable[[Json], None]) -> None:
    for item in ITEMS:
        emit(item)


def _callback(run: Run, emit: Callable[[Json], None]) -> None:
    def emit_all() -> None:
        for item in ITEMS:
            emit(item)

    thread = threading.Thread(target=emit_all)
    thread.start()
    thread.join()


def _in_a_handler(show: Callable[[Run], Any]) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await show(run)

    return agent


AGENTS: dict[str, Agent] = {
    "an async generator": GeneratorAgent(_async_generator),
    "a generator": GeneratorAgent(_generator),
    "an async function with a callback": CallbackAgent(_async_callback),
    "a function with a callback, from a thread": CallbackAgent(_callback),
    "a generator in a handler": _in_a_handler(lambda run: run_generator(run, _generator)),
    "a callback in a handler": _in_a_handler(lambda run: run_callbacks(run, _async_callback)),
}


@pytest.mark.parametrize("agent", AGENTS.values(), ids=list(AGENTS))
async def test_what_a_function_yields_or_emits_is_one_message(agent: Agent) -> None:
    async with TestClient(agent) as client:
        result = await client.run("Hi")

    _, message = result.state["messages"]
    assert message["parts"] == PARTS


async def test_a_state_is_shown_in_the_threads_and_only_what_differs_is_sent() -> None:
    @dataclass
    class Plan:
        steps: list[str]
        note: str
        seen: object = field(default_factory=object)

    sent: list[bytes] = []

    async def plan(run: Run) -> AsyncIterator[Any]:
        yield State({"plan": Plan(["a"], "Fir"), "old": 1})
        run._document.flush()
        yield State({"plan": Plan(["a"], "First"), "old": 1})
        sent.append(run._document.flush().operations)
        yield State({"plan": Plan(["a", "b"], "First")})
        yield State({"deep": [1, 2]}, path=("more", "here"))

    await run_generator(run := run_on(said("u1", "Hi")), plan)
    assert sent == [b'[{"type":"append-text","path":["plan","note"],"value":"st"}]']
    assert run.state == {
        "messages": [said("u1", "Hi")],
        "plan": {"steps": ["a", "b"], "note": "First"},
        "more": {"here": {"deep": [1, 2]}},
    }


async def test_a_generator_that_yields_nothing_but_states_leaves_turns_to_others() -> None:
    turns: list[int] = []
    over = asyncio.Event()

    async def other() -> None:
        while not over.is_set():
            turns.append(1)
            await asyncio.sleep(0)

    async def plan(run: Run) -> AsyncIterator[Any]:
        for step in range(10):
            yield State({"step": step})

    beside = asyncio.create_task(other())
    await run_generator(run_on(), plan)
    over.set()
    await beside
    assert len(turns) >= 10


async def test_a_state_without_keys_has_no_place(caplog: Any) -> None:
    def answer(run: Run) -> Iterator[Any]:
        yield State([1])

    async with TestClient(GeneratorAgent(answer)) as client:
        await client.run("Hi")

    assert "TypeError: expected a State of keys and values, or one with a path, got list" in caplog.text


async def test_a_run_that_goes_on_from_an_answer_continues_the_message() -> None:
    def ask_back(run: Run) -> Iterator[Json]:
        call = run.messages.find_tool_call("c1")
        if call is None:
            yield {"type": "tool-call", "toolCallId": "c1", "toolName": "ask_user", "args": {}}
        else:
            yield f"{call.result} it is."

    async with TestClient(GeneratorAgent(ask_back)) as client:
        await client.run("Drink?", thread_id="t")
        answer = {"type": "add-tool-result", "toolCallId": "c1", "toolName": "ask_user", "result": "Tea"}
        result = await client.run(answer, thread_id="t")

    _, message = result.state["messages"]
    assert [part["type"] for part in message["parts"]] == ["tool-call", "text"]
    assert message["parts"][1]["text"] == "Tea it is."


@pytest.mark.parametrize("item", [7, [], {"text": "no type"}, object()], ids=["int", "list", "no type", "object"])
async def test_anything_else_is_an_error_that_says_what_is_expected(item: Any, caplog: Any) -> None:
    def answer(run: Run) -> Iterator[Any]:
        yield item

    async with TestClient(GeneratorAgent(answer)) as client:
        result = await client.run("Hi")

    assert result.code == "agent_failed"
    assert "TypeError: expected a text, a part of a message such as" in caplog.text
    assert f"got {type(item).__name__}" in caplog.text


def test_a_function_that_does_not_yield_is_no_generator() -> None:
    with pytest.raises(TypeError, match="expected a function with a `yield` in it, got"):
        GeneratorAgent(_callback)  # type: ignore[arg-type]


class Stopped:
    """A library that says one word, and then works until it is stopped."""

    def __init__(self) -> None:
        self.works = threading.Event()
        self.go_on = threading.Event()
        self.over = threading.Event()
        self.error: BaseException | None = None

    async def in_async_generator(self, run: Run) -> AsyncIterator[str]:
        try:
            yield "Once"
            self.works.set()
            await asyncio.Event().wait()
        finally:
            self.over.set()

    def in_generator(self, run: Run) -> Iterator[str]:
        try:
            yield "Once"
            self.works.set()
            self.go_on.wait()
            yield " upon a time"
            self.error = AssertionError("it goes on")
        finally:
            self.over.set()

    def in_callback(self, run: Run, emit: Callable[[str], None]) -> None:
        try:
            emit("Once")
            self.works.set()
            self.go_on.wait()
            emit(" upon a time")
        except RunEnded as error:
            self.error = error
            raise
        finally:
            self.over.set()


@pytest.mark.parametrize("kind", ["in_async_generator", "in_generator", "in_callback"])
async def test_a_stop_reaches_the_function(kind: str) -> None:
    library, switched = Stopped(), threading.Event()
    run_it: Any = run_callbacks if kind == "in_callback" else run_generator
    agent = _in_a_handler(lambda run: run_it(run, getattr(library, kind), stop=switched.set))

    async with TestClient(agent) as client:
        response = asyncio.create_task(client.run("Hi", thread_id="t"))
        await until(library.works)
        await client.post("/cancel", json={"threadId": "t"})
        await until(switched)
        library.go_on.set()
        result = await response
        state = (await client.get("/threads/t/state")).json()["state"]

    assert library.over.is_set()
    assert isinstance(library.error, RunEnded) is (kind == "in_callback")
    assert result.error is None
    assert state["messages"][1]["parts"] == [{"type": "text", "text": "Once"}]
    assert state["messages"][1]["status"] == {"type": "incomplete", "reason": "cancelled"}


async def test_what_a_function_emits_after_its_run_is_refused() -> None:
    kept: list[Any] = []

    def answer(run: Run, emit: Callable[[str], None]) -> None:
        kept.append(emit)
        emit("Hello")

    async with TestClient(CallbackAgent(answer)) as client:
        await client.run("Hi")
        with pytest.raises(RunEnded):
            kept[0](" again")
