"""C. A burst of 10,000 appends to one path in one turn, which leaves as one operation in one frame."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import uvloop
from assistant_stream import create_run
from assistant_stream.serialization import AssistantTransportEncoder as PeerEncoder

from statecast.protocol import PROTOCOLS, OperationsEntry
from statecast_agents import Document

from .harness import PEER, Options, Result, compare, interleave
from .operations import cost_of_limit, state_of

__all__ = ["measure"]

COUNT = 10_000


def measure(options: Options) -> list[Result]:
    """Measure the burst against as many operations of the limit."""
    sides = {
        "ours": lambda: uvloop.run(_ours()),
        "limit": lambda: cost_of_limit("text append", COUNT) * COUNT,
        PEER: lambda: uvloop.run(_peer()),
    }
    samples = interleave(sides, options.of(9))
    return [compare("C. 10,000 appends in one turn", "ms", samples, scale=1e3)]


async def _ours() -> float:
    document = Document(state_of())
    encode = PROTOCOLS["assistant-transport"](None).encode
    frames: list[bytes] = []
    left = asyncio.Event()

    def flush() -> None:
        frames.append(encode(OperationsEntry(1, document.flush().operations)))
        left.set()

    def wake() -> None:
        asyncio.get_running_loop().call_soon(flush)

    document.wake = wake
    part = document.root["messages"][0]["parts"][0]
    started = perf_counter()
    for _ in range(COUNT):
        part.append_text("text", "tok ")
    await left.wait()
    seconds = perf_counter() - started
    assert [frame.count(b"append-text") for frame in frames] == [1], "one operation in one frame"
    return seconds


async def _peer() -> float:
    async def callback(controller: Any) -> None:
        for _ in range(COUNT):
            controller.append_state_text(["messages", 0, "parts", 0, "text"], "tok ")

    started = perf_counter()
    async for _ in PeerEncoder().encode_stream(create_run(callback, state=state_of(text="x"))):
        pass
    return perf_counter() - started
