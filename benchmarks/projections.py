"""N. A token in the protocols for clients that know messages only, in process: from the mutation to its frame.

The limit is the same token in assistant-transport, which passes the operation on as it is. A projection reads where the
operation goes, and writes another frame around the same text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import uvloop

from statecast.protocol import MESSAGE_PROTOCOLS, PROTOCOLS, Encoder, OperationsEntry, RunEntry, RunState
from statecast.protocol.projection import Projection
from statecast_agents import Document

from .harness import Options, Result, compare, interleave

__all__ = ["measure"]

COUNT = 10_000

RUN = "run_1"
FIRST = {"messages": [{"id": "u", "role": "user", "parts": []}]}

Make = Callable[[bytes], Encoder]

#: How much of the answer there is before the first token that counts, by name.
BEHIND = {"": 1, ", behind 1 MB": 1_000_000}


def measure(options: Options) -> list[Result]:
    """Measure each protocol with a new message and with a long one; for information, what the encoders alone cost."""
    results = []
    for behind, size in BEHIND.items():
        results += _compare(f"N. a token in {{}}{behind}", partial(_cost, size), options.of(9), target=1.5)
    return results + _compare("N. {}, the encoder alone", _alone, options.of(9))


def _compare(title: str, cost: Callable[[Make], float], rounds: int, *, target: float | None = None) -> list[Result]:
    makes: dict[str, Make] = {"limit": _passed_on, **{name: partial(_projected, name) for name in MESSAGE_PROTOCOLS}}
    samples = interleave({name: partial(cost, make) for name, make in makes.items()}, rounds)
    return [
        compare(title.format(name), "µs", samples, target=target, ours=name, scale=1e6) for name in MESSAGE_PROTOCOLS
    ]


def _passed_on(base: bytes) -> Encoder:
    return PROTOCOLS["assistant-transport"](RUN)


def _projected(name: str, base: bytes) -> Encoder:
    return MESSAGE_PROTOCOLS[name](Projection(["messages"], run_id=RUN, base=base))


def _cost(size: int, make: Make) -> float:
    return uvloop.run(_stream(make, size))


def _alone(make: Make) -> float:
    """Return the processor seconds that the frame of a token takes whose entry is there."""
    document = Document(FIRST)
    document.flush()
    encode = make(document.encode()).encode
    encode(RunEntry(1, RunState(RUN, "running")))
    state: Any = document.root
    state["messages"].append({"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "x"}]})
    part = state["messages"][-1]["parts"][0]
    entries = [OperationsEntry(2, document.flush())]
    for index in range(COUNT):
        part.append_text("text", "tok ")
        entries.append(OperationsEntry(3 + index, document.flush()))
    for entry in entries[:2]:
        encode(entry)
    started = process_time()
    for entry in entries[2:]:
        encode(entry)
    return (process_time() - started) / COUNT


async def _stream(make: Make, size: int) -> float:
    """Return the processor seconds from a mutation to its frame, turn included."""
    document = Document(FIRST)
    document.flush()
    encode = make(document.encode()).encode
    frames = [encode(RunEntry(1, RunState(RUN, "running")))]

    def flush() -> None:
        operations = document.flush()
        if operations:
            frames.append(encode(OperationsEntry(len(frames) + 1, operations)))

    call_soon = asyncio.get_running_loop().call_soon

    def wake() -> None:
        call_soon(flush)

    document.wake = wake
    state: Any = document.root
    state["messages"].append({"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "x" * size}]})
    part = state["messages"][-1]["parts"][0]
    sleep = asyncio.sleep
    await sleep(0)
    await sleep(0)
    begun = len(frames)
    started = process_time()
    for _ in range(COUNT):
        part.append_text("text", "tok ")
        await sleep(0)
    await sleep(0)
    seconds = (process_time() - started) / COUNT
    assert len(frames) == begun + COUNT, "a frame per turn"
    assert all(b"tok " in frame and len(frame) < 200 for frame in frames[begun:]), "of the token alone"
    return seconds
