"""What `assistant-stream`'s interface does on Statecast's state: mutations, text, cancelling, failures, detaching."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from statecast import AgentError
from statecast.compat.assistant_stream import RunController, create_run
from statecast.compat.assistant_stream.assistant_stream_chunk import (
    AssistantStreamChunk,
    ErrorChunk,
    TextDeltaChunk,
    ToolCallBeginChunk,
    ToolResultChunk,
    UpdateStateChunk,
)
from statecast.state import operations
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio

Callback = Callable[[RunController], Coroutine[Any, Any, None]]


async def chunks_of(callback: Callback, state: Any = None) -> list[AssistantStreamChunk]:
    return [chunk async for chunk in create_run(callback, state=state)]


async def operations_of(callback: Callback, state: Any = None) -> list[Any]:
    chunks = await chunks_of(callback, state)
    return [one for chunk in chunks if isinstance(chunk, UpdateStateChunk) for one in chunk.operations]


MUTATIONS: dict[str, Callable[[Any], object]] = {
    "pop": lambda state: state["list"].pop(),
    "insert": lambda state: state["list"].insert(0, "first"),
    "sort": lambda state: state["list"].sort(reverse=True),
    "remove": lambda state: state["list"].remove("a"),
    "reverse": lambda state: state["list"].reverse(),
    "update": lambda state: state.update(more=1),
    "popitem": lambda state: state.popitem(),
    "clear": lambda state: state["list"].clear(),
    "slice": lambda state: state["list"].__setitem__(slice(0, 1), ["x", "y"]),
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_mutation_of_dicts_and_lists_works(name: str) -> None:
    async def callback(controller: RunController) -> None:
        MUTATIONS[name](controller.state)

    state = {"list": ["a", "b", "c"], "last": 1}
    made = await operations_of(callback, state)
    expected = {"list": ["a", "b", "c"], "last": 1}
    MUTATIONS[name](expected)
    steps = [operations.Set(tuple(one["path"]), one["value"]) for one in made]
    assert operations.apply(state, steps) == expected


async def test_a_text_grows_by_what_is_added() -> None:
    async def callback(controller: RunController) -> None:
        for _ in range(3):
            controller.state["text"] += "more"
            controller.flush()

    made = await operations_of(callback, {"text": "long " * 10_000})
    assert made == [{"type": "append-text", "path": ["text"], "value": "more"}] * 3


async def test_text_is_appended_at_a_path() -> None:
    async def callback(controller: RunController) -> None:
        controller.append_state_text(["messages", 0, "text"], " there")
        controller.append_state_text(["messages", "0", "text"], "!")
        with pytest.raises(TypeError, match="Can only append str"):
            controller.append_state_text(["messages", 0, "text"], 1)  # type: ignore[arg-type]  # wrong

    made = await operations_of(callback, {"messages": [{"text": "Hi"}]})
    assert made == [{"type": "append-text", "path": ["messages", "0", "text"], "value": " there!"}]


async def test_a_state_that_is_none_is_none_until_it_is_assigned() -> None:
    async def callback(controller: RunController) -> None:
        assert controller.state is None
        controller.state = {"messages": []}
        controller.flush()
        controller.state["messages"].append({"text": "Hi"})

    assert await operations_of(callback) == [
        {"type": "set", "path": [], "value": {"messages": []}},
        {"type": "set", "path": ["messages", "0"], "value": {"text": "Hi"}},
    ]


async def test_state_and_parts_keep_their_order() -> None:
    async def callback(controller: RunController) -> None:
        controller.state["a"] = 1
        controller.append_text("one")
        controller.state["a"] = 2
        controller.append_text("two")

    chunks = await chunks_of(callback, {})
    assert [chunk.type for chunk in chunks] == ["update-state", "text-delta", "update-state", "text-delta"]


async def test_a_worker_thread_may_write() -> None:
    async def callback(controller: RunController) -> None:
        def work() -> None:
            controller.state["a"] = 1
            controller.append_text("from a thread")

        await asyncio.to_thread(work)

    chunks = await chunks_of(callback, {})
    assert [chunk.type for chunk in chunks] == ["update-state", "text-delta"]


async def test_a_tool_call_and_its_group() -> None:
    async def callback(controller: RunController) -> None:
        group = controller.with_parent_id("g")
        call = await group.add_tool_call("search", "c1")
        call.append_args_text('{"q": 1}')
        call.set_response({"found": 2}, artifact="a")
        call.set_response("again")
        group.append_text("done")
        assert (await controller.add_tool_call("other")).tool_call_id.startswith("call_")

    chunks = await chunks_of(callback, {})
    assert ToolCallBeginChunk("c1", "search", parent_id="g") in chunks
    assert ToolResultChunk("c1", {"found": 2}, artifact="a") in chunks
    assert TextDeltaChunk("done", parent_id="g") in chunks
    assert sum(isinstance(chunk, ToolResultChunk) for chunk in chunks) == 1


async def test_another_stream_is_part_of_the_run() -> None:
    async def other() -> AsyncIterator[AssistantStreamChunk]:
        yield TextDeltaChunk("from elsewhere")

    async def callback(controller: RunController) -> None:
        controller.add_stream(other())

    assert await chunks_of(callback) == [TextDeltaChunk("from elsewhere")]


SECRET = "password=hunter2"


@pytest.mark.parametrize(
    ("error", "shown"),
    [(ValueError(SECRET), "An error occurred while the answer was made."), (AgentError("Try again."), "Try again.")],
    ids=["any", "meant for the user"],
)
async def test_a_failure_is_an_error_without_the_exceptions_text(error: Exception, shown: str) -> None:
    async def callback(controller: RunController) -> None:
        controller.append_text("so far")
        raise error

    stream = create_run(callback)
    assert await anext(stream) == TextDeltaChunk("so far")
    assert await anext(stream) == ErrorChunk(shown)
    with pytest.raises(type(error)):
        await anext(stream)


class Held:
    """A callback that waits to be cancelled, and notes what it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, controller: RunController) -> None:
        controller.append_text("begun")
        try:
            await self.release.wait()
            self.seen.append("went on")
        except asyncio.CancelledError:
            self.seen.append(f"cancelled, {controller.is_cancelled}, {controller.cancelled_event.is_set()}")
            await asyncio.sleep(0)
            self.seen.append("cleaned up")
            raise


async def test_a_stream_that_nobody_reads_any_more_cancels_its_run_once() -> None:
    held = Held()
    async with aclosing(create_run(held)) as stream:
        assert await anext(stream) == TextDeltaChunk("begun")
    assert held.seen == ["cancelled, True, True", "cleaned up"]


async def test_a_reader_that_is_cancelled_at_every_await_cancels_the_run_all_the_same() -> None:
    """As a response's is: starlette runs it in a cancel scope of anyio."""
    held = Held()

    async def read() -> None:
        async for chunk in create_run(held):
            assert chunk == TextDeltaChunk("begun")
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
    await until(lambda: len(held.seen) == 2)
    assert held.seen == ["cancelled, True, True", "cleaned up"]


async def test_a_callback_may_notice_by_itself() -> None:
    seen: list[str] = []

    async def callback(controller: RunController) -> None:
        controller.append_text("begun")
        await controller.cancelled_event.wait()
        seen.append("noticed")

    async with aclosing(create_run(callback)) as stream:
        await anext(stream)
    assert seen == ["noticed"]


async def test_a_detached_run_goes_on_when_nobody_reads_it() -> None:
    held = Held()
    async with aclosing(create_run(held, detached=True)) as stream:
        await anext(stream)
    held.release.set()
    await until(lambda: held.seen)
    assert held.seen == ["went on"]


async def test_a_detached_run_that_fails_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def callback(controller: RunController) -> None:
        controller.append_text("begun")
        await release.wait()
        raise ValueError("broken")

    caplog.set_level(logging.ERROR, "statecast")
    async with aclosing(create_run(callback, detached=True)) as stream:
        await anext(stream)
    release.set()
    await until(lambda: caplog.records)
    assert "a run that nobody reads any more failed" in caplog.text
