"""No request costs more than its size: what doubles the input doubles the work, at every endpoint.

Work is counted, never timed: the bytecode instructions that Python executes, in all threads. A loop that runs in C is
one of them, so what such a loop compares is counted apart.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

import msgspec
import pytest

from statecast import create_app
from statecast.protocol.ag_ui.client_view import ClientView
from statecast.testing import TestClient
from statecast.threads.offload import LARGE
from statecast_agents import Json
from tests.transport.body_shapes import SHAPES, Body, Shape, ag_ui_turns, local_turns, openai_turns, sizing, ui_turns

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

JSON = {"content-type": "application/json"}

#: How large the bodies are; each twice the one before.
SIZES = (60, 120, 240)

#: What the second doubling may add, in terms of what the first one added: 2 is linear, 4 quadratic.
GROWTH = 2.7

#: Instructions that a request may cost whatever its size: what comes and goes by chance.
CHANCE = 4_000


class Work:
    """How many instructions were executed."""

    def __init__(self) -> None:
        self.instructions = 0

    @contextmanager
    def counted(self, *, everywhere: bool = True) -> Iterator[None]:
        """Count, in all threads that start meanwhile, or in the event loop's alone."""
        before = sys.gettrace()
        threading.settrace(self._call if everywhere else None)
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:  # as in sys
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:  # as in sys
        self.instructions += event == "opcode"
        return self._step


async def cost(shape: Shape, size: int) -> int:
    """Return how many instructions a request of a size takes, and the run that it starts."""
    work = Work()
    async with TestClient(create_app(sizing(), open_list=True)) as client:
        for method, path, body in shape.before:
            first = await client.request(method, path, json=body(size))
            assert first.status < 300, first.content
        with work.counted():
            answer = await client.request(shape.method, shape.path, **shape.sent(size))
        assert answer.status < 300, answer.content
    return work.instructions


@pytest.mark.parametrize("name", SHAPES)
async def test_twice_the_input_is_twice_the_work(name: str) -> None:
    await cost(SHAPES[name], SIZES[0])  # what is done only once in a process
    small, middle, large = [await cost(SHAPES[name], size) for size in SIZES]

    assert large - middle <= GROWTH * max(middle - small, 0) + CHANCE, (small, middle, large)


#: Bodies that are refused for what they end with, when everything before it was read.
REFUSED: dict[str, tuple[str, str, Body]] = {
    "/assistant": ("POST", "/assistant", lambda n: {"commands": [{"type": "note", "rows": ours(n)}, {"type": 1}]}),
    "/assistant, state": ("POST", "/assistant", lambda n: {"threadId": "new", "state": [*ours(n), {"prototype": 1}]}),
    "/assistant, tools": ("POST", "/assistant", lambda n: {"tools": {"x": ours(n)}, "config": 1}),
    "/chat": ("POST", "/chat", lambda n: {"messages": [*ui_turns(n), {"role": "none"}]}),
    "/ag-ui": ("POST", "/ag-ui", lambda n: {"threadId": "t", "runId": "r", "messages": [*ag_ui_turns(n), {"id": 1}]}),
    "/v1": ("POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": openai_turns(n)}),
    "/text": ("POST", "/text", lambda n: {"messages": [*local_turns(n), {"role": "none"}]}),
    "PATCH": ("PATCH", "/threads/t/state", lambda n: [{"op": "add", "path": "/rows", "value": ours(n)}, 1]),
    "a history": ("POST", "/threads/t/messages", lambda n: {"message": {"content": ours(n)}, "parentId": 1}),
    "a card": ("POST", "/threads", lambda n: {"custom": {"a": ours(n)}, "title": 1}),
}


def ours(size: int) -> list[Json]:
    return [{"id": f"m{at}", "role": "user", "parts": [{"type": "text", "text": f"words {at}"}]} for at in range(size)]


@pytest.mark.parametrize("name", REFUSED)
async def test_a_large_body_is_read_beside_the_event_loop(name: str) -> None:
    method, path, body = REFUSED[name]
    took: list[int] = []
    for size in (4_000, 12_000):
        content = msgspec.json.encode(body(size))
        assert len(content) > LARGE
        work = Work()
        async with TestClient(create_app(sizing(), open_list=True)) as client:
            await client.run(thread_id="t")
            with work.counted(everywhere=False):
                answer = await client.request(method, path, content=content, headers=JSON)
        assert 400 <= answer.status < 500, answer.content
        took.append(work.instructions)

    assert took[1] - took[0] <= CHANCE, took


async def test_a_patch_costs_what_it_touches() -> None:
    small, large = [await cost(SHAPES["PATCH, beside much"], size) for size in (20, 400)]

    assert large - small <= CHANCE, (small, large)


class Compared(str):
    """A text that counts how often it is compared."""

    __slots__ = ()

    times: ClassVar[int] = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_message_of_reasoning_is_not_compared_with_the_others() -> None:
    messages = [{"id": Compared(f"r{at}"), "role": "reasoning"} for at in range(1_000)]

    ClientView(messages, "unused")

    assert Compared.times < 3 * len(messages)
