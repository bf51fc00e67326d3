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

import pytest

from statecast import create_app
from statecast.protocol.ag_ui_view import View
from statecast.testing import Client
from tests.transport.shapes import SHAPES, Shape, sizing

pytestmark = pytest.mark.anyio

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
    def counted(self) -> Iterator[None]:
        """Count, in all threads that start or call something meanwhile."""
        before = sys.gettrace()
        threading.settrace(self._call)
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
    async with Client(create_app(sizing(), open_list=True)) as client:
        for method, path, body in shape.before:
            first = await client.request(method, path, json=body(size))
            assert first.status < 300, first.content
        with work.counted():
            answer = await client.request(shape.method, shape.path, **shape.sent(size))
        assert answer.status < 300, answer.content
    return work.instructions


@pytest.mark.parametrize("name", SHAPES)
async def test_twice_the_input_is_twice_the_work(name: str) -> None:
    small, middle, large = [await cost(SHAPES[name], size) for size in SIZES]

    assert large - middle <= GROWTH * max(middle - small, 0) + CHANCE, (small, middle, large)


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

    View(messages, "unused")

    assert Compared.times < 3 * len(messages)
