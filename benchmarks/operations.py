"""A. One operation per turn of the event loop, in process: from the mutation to the bytes of its frame.

The limit builds the operation as a dict, encodes its chunk with msgspec and wraps it as a server-sent event, in a plain
loop: no state, no tracking, no event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec
import uvloop
from assistant_stream import create_run
from assistant_stream.serialization import AssistantTransportEncoder as PeerEncoder

from statecast.protocol import PROTOCOLS, OperationsEntry
from statecast_agents import Document

from .harness import PEER, Options, Result, compare, interleave

__all__ = ["KINDS", "append", "cost_of", "cost_of_limit", "cost_of_ours", "cost_of_peer", "measure", "state_of"]

COUNT = 10_000

_encode = msgspec.json.encode
_TEXT = ("messages", 0, "parts", 0, "text")
_SEGMENTS = [str(key) for key in _TEXT]


def state_of(*, messages: int = 1, text: str = "", items: int = 0) -> dict[str, Any]:
    """Return a state to start with."""
    return {
        "messages": [{"parts": [{"text": text}]} for _ in range(messages)],
        "progress": -1,
        "items": list(range(items)),
    }


def add(state: Any, index: int) -> None:
    """`+=`."""
    state["messages"][0]["parts"][0]["text"] += "tok "


def append(state: Any, index: int) -> None:
    """The explicit append."""
    state["messages"][-1]["parts"][0].append_text("text", "tok ")


def assign(state: Any, index: int) -> None:
    state["progress"] = index


def push(state: Any, index: int) -> None:
    state["items"].append(index)


#: By kind: what an agent does, and the operation it amounts to.
KINDS: dict[str, tuple[Callable[[Any, int], None], Callable[[int], dict[str, Any]]]] = {
    "text +=": (add, lambda index: {"type": "append-text", "path": _SEGMENTS, "value": "tok "}),
    "text append": (append, lambda index: {"type": "append-text", "path": _SEGMENTS, "value": "tok "}),
    "set": (assign, lambda index: {"type": "set", "path": ["progress"], "value": index}),
    "list append": (push, lambda index: {"type": "set", "path": ["items", str(index)], "value": index}),
}

#: By kind: its target; assistant-stream has two ways to grow a text as well.
TARGETS = {"text +=": 10.0, "text append": 10.0, "set": 7.0, "list append": 7.0}


def measure(options: Options) -> list[Result]:
    """Measure the four kinds."""
    results = []
    for kind, target in TARGETS.items():
        sides = {
            "ours": lambda kind=kind: cost_of_ours(kind, state_of()),
            "limit": lambda kind=kind: cost_of_limit(kind),
            PEER: lambda kind=kind: cost_of_peer(kind, state_of(text="x")),
        }
        samples = interleave(sides, options.of(9))
        results.append(compare(f"A. {kind}, one per turn", "µs", samples, target=target, scale=1e6))
    return results


def cost_of_limit(kind: str, count: int = COUNT) -> float:
    """Return the seconds that one operation takes to be encoded and wrapped."""
    _, operation = KINDS[kind]
    started = perf_counter()
    for index in range(count):
        b"data: " + _encode({"type": "update-state", "path": [], "operations": [operation(index)]}) + b"\n\n"
    return (perf_counter() - started) / count


def cost_of_ours(kind: str, state: Any, count: int = COUNT) -> float:
    """Return the seconds from a mutation of a kind to its frame, turn included."""
    return cost_of(KINDS[kind][0], state, count)


def cost_of(mutate: Callable[[Any, int], None], state: Any, count: int = COUNT, room: int | None = None) -> float:
    """Return the seconds from a mutation to its frame, turn included.

    Args:
        mutate: What an agent does, given the state and how often it was done.
        state: The state at first.
        count: How often it is done.
        room: Bytes that the state may grow by; None: any number.
    """
    return uvloop.run(_ours(mutate, state, count, room))


def cost_of_peer(kind: str, state: Any, count: int = COUNT) -> float:
    """Return the same of assistant-stream."""
    return uvloop.run(_peer(kind, state, count))


async def _ours(mutate: Callable[[Any, int], None], initial: Any, count: int, room: int | None) -> float:
    document = Document(initial)
    if room is not None:
        document.bound(len(document.encode()) + room)
    encode = PROTOCOLS["assistant-transport"](None).encode
    frames: list[bytes] = []

    def flush() -> None:
        operations = document.flush().operations
        if operations:
            frames.append(encode(OperationsEntry(len(frames) + 1, operations)))

    call_soon = asyncio.get_running_loop().call_soon

    def wake() -> None:
        call_soon(flush)

    state = document.root
    mutate(state, -1)  # a text that was assigned is copied once, when it first grows
    document.flush()
    document.wake = wake
    sleep = asyncio.sleep
    started = perf_counter()
    for index in range(count):
        mutate(state, index)
        await sleep(0)
    await sleep(0)
    seconds = (perf_counter() - started) / count
    assert len(frames) == count, "a frame per turn"
    return seconds


async def _peer(kind: str, initial: Any, count: int) -> float:
    path = ["messages", len(initial["messages"]) - 1, "parts", 0, "text"]
    mutate = KINDS[kind][0]

    async def callback(controller: Any) -> None:
        if kind == "text append":
            for _ in range(count):
                controller.append_state_text(path, "tok ")
                await asyncio.sleep(0)
        else:
            for index in range(count):
                mutate(controller.state, index)
                await asyncio.sleep(0)

    started = perf_counter()
    frames = 0
    async for _ in PeerEncoder().encode_stream(create_run(callback, state=initial)):
        frames += 1
    seconds = (perf_counter() - started) / count
    assert frames >= count, "a frame per turn"
    return seconds
