"""What a token costs through each adapter does not depend on what was said before it.

Calls of our own functions are counted, which is no matter of time. benchmarks/adapters.py measures the time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import statecast_agents
from statecast.testing import TestClient
from tests.frameworks.provider import Provider, Text
from tests.frameworks.published import RIGS
from tests.frameworks.stage import Rig
from tests.frameworks.tools import Tools

pytestmark = pytest.mark.anyio

OURS = str(Path(statecast_agents.__file__).parent)
FEW, MANY = 20, 120  #: tokens of the answers whose difference is counted


@pytest.mark.parametrize("rig", RIGS.values(), ids=list(RIGS))
async def test_a_token_costs_as_much_in_a_long_answer_of_a_long_conversation(rig: Rig) -> None:
    with counted() as calls:

        async def calls_for_tokens(*, before: int, messages: int) -> int:
            """Return how many calls an answer with `MANY` tokens takes more than one with `FEW`."""
            counts = []
            for count in (FEW, MANY):
                calls.clear()
                await answer(rig, ["x" * before, *["t "] * count], messages)
                counts.append(len(calls))
            return counts[1] - counts[0]

        first = await calls_for_tokens(before=1, messages=2)
        later = await calls_for_tokens(before=5_000, messages=100)

    assert MANY - FEW < later <= 1.2 * first


async def answer(rig: Rig, texts: list[str], messages: int) -> None:
    """Let an agent answer with these texts, after so many messages."""
    provider = Provider([[*map(Text, texts)]])
    state = {"messages": [message(index) for index in range(messages)]}
    async with TestClient(rig.agent(provider, Tools())) as client:
        result = await client.run("Hello?", state=state)
    assert result.error is None
    assert "".join(texts).strip() in str(result.state)


def message(index: int) -> dict[str, Any]:
    role = ("user", "assistant")[index % 2]
    return {"id": f"m-{index}", "role": role, "parts": [{"type": "text", "text": f"Message {index}"}]}


@contextmanager
def counted() -> Iterator[list[str]]:
    """Note calls of our functions, as long as the block lasts, in this thread and all that begin meanwhile."""
    calls: list[str] = []

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(count)
    threading.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
