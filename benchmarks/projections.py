"""N. A token in the protocols for clients that know messages only, in process: from the mutation to its frame.

The limit is the same token in assistant-transport, which passes the operation on as it is. Another encoder looks
whether the text that grew is the one that grew last, and writes a frame of its own around the same JSON string.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import uvloop

from statecast.protocol import MESSAGE_PROTOCOLS, PROTOCOLS, Encoder, OperationsEntry, RunEntry, RunState
from statecast.protocol.ag_ui.encoder import AgUiEncoder
from statecast.protocol.ag_ui.request import read_run_input
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.text import ContentEventsEncoder, PlainTextEncoder
from statecast.protocol.messages.full_projection import FullProjection
from statecast.protocol.messages.projection import Projection
from statecast.protocol.openai.encoder import ChatCompletionStreamEncoder, Completion
from statecast_agents import Document, Json

from .harness import Options, Result, compare, interleave

__all__ = ["measure"]

COUNT = 10_000

RUN = "run_1"
FIRST = {"messages": [{"id": "u", "role": "user", "parts": []}]}

#: What an AG-UI client posts that has nothing but the thread's first message.
ASKED = b"""{"threadId":"t","runId":"r","state":{},"messages":[{"id":"u","role":"user","content":""}],
"tools":[],"context":[],"forwardedProps":{}}"""

Make = Callable[[Json], Encoder]

#: How much of the answer there is before the first token that counts, by name.
BEHIND = {"": 1, ", after 1 MB": 1_000_000}


def measure(options: Options) -> list[Result]:
    """Measure each protocol with a new message and with a long one; and what the encoders alone cost."""
    results = []
    for behind, size in BEHIND.items():
        results += _compare(f"N. a token in {{}}{behind}", partial(_cost, size), options.of(9), target=1.5)
    return results + _compare("N. {}, the encoder alone", _alone, options.of(9))


def _compare(title: str, cost: Callable[[Make], float], rounds: int, *, target: float | None = None) -> list[Result]:
    sides = {name: partial(cost, make) for name, make in {"limit": _passed_on, **MAKES}.items()}
    samples = interleave(sides, rounds)
    return [compare(title.format(name), "µs", samples, target=target, ours=name, scale=1e6) for name in MAKES]


def _passed_on(base: Json) -> Encoder:
    return PROTOCOLS["assistant-transport"](RUN)


def _projected(encoder: Callable[[Projection], Encoder], base: Json) -> Encoder:
    return encoder(Projection(["messages"], run_id=RUN, base=base))


def _ag_ui(base: Json) -> Encoder:
    encoder = AgUiEncoder(FullProjection(["messages"], run_id=RUN, base=base), read_run_input(ASKED))
    encoder.begin()
    return encoder


def _completion(projection: Projection) -> Encoder:
    return ChatCompletionStreamEncoder(projection, Completion(id="chatcmpl-1", model="agent", created=0))


#: The encoders of every protocol that grows token by token, by the protocol's name or its endpoint's.
MAKES: dict[str, Make] = {
    **{name: partial(_projected, encoder) for name, encoder in MESSAGE_PROTOCOLS.items()},
    "ag-ui": _ag_ui,
    "completions": partial(_projected, _completion),
    "/text": partial(_projected, PlainTextEncoder),
    "/sse": partial(_projected, TypedEventsEncoder),
    "/sse, content": partial(_projected, ContentEventsEncoder),
}


def _cost(size: int, make: Make) -> float:
    return uvloop.run(_stream(make, size))


def _alone(make: Make) -> float:
    """Return the processor seconds that the frame of a token takes whose entry is there."""
    document = Document(FIRST)
    document.flush()
    encode = make(document.plain()).encode
    encode(RunEntry(1, RunState(RUN, "running")))
    state: Any = document.root
    state["messages"].append({"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "x"}]})
    part = state["messages"][-1]["parts"][0]
    entries = [OperationsEntry(2, document.flush().operations)]
    for index in range(COUNT):
        part.append_text("text", "tok ")
        changes = document.flush()
        entries.append(OperationsEntry(3 + index, changes.operations, changes.grew_at, changes.delta))
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
    encode = make(document.plain()).encode
    frames = [encode(RunEntry(1, RunState(RUN, "running")))]

    def flush() -> None:
        changes = document.flush()
        if changes.operations:
            revision = len(frames) + 1
            frames.append(encode(OperationsEntry(revision, changes.operations, changes.grew_at, changes.delta)))

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
    assert all(b"tok " in frame and len(frame) < 300 for frame in frames[begun:]), "of the token alone"
    return seconds
