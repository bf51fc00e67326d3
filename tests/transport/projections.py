"""What both protocols of `/chat` make of an answer, as lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from statecast.protocol import MESSAGE_PROTOCOLS, Entry
from statecast.protocol.assistant_transport.data_stream import decode
from statecast.protocol.messages.projection import Projection
from tests.transport.answering_agent import Answering, projection

__all__ = ["TEXT", "answered", "body_of", "chunks_of", "deltas", "lines", "told", "types"]

TEXT = {"type": "text", "text": "go"}


def body_of(protocol: str, read: Projection, entries: Sequence[Entry]) -> bytes:
    """Return a whole response."""
    encoder = MESSAGE_PROTOCOLS[protocol](read)
    return b"".join(map(encoder.encode, entries)) + encoder.finish()


def chunks_of(body: bytes) -> list[dict[str, Any]]:
    """Return the chunks of a UI message stream, without the end marker."""
    events = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]
    assert events[-1] == b"[DONE]"
    return [msgspec.json.decode(event) for event in events[:-1]]


def told(answering: Answering, read: Projection | None = None) -> list[dict[str, Any]]:
    """Return an answer as the chunks of a UI message stream."""
    return chunks_of(body_of("ui-message-stream", read or projection(answering), answering.entries))


def lines(answering: Answering, read: Projection | None = None) -> list[tuple[str, Any]]:
    """Return an answer as the lines of a data stream."""
    return decode(body_of("data-stream", read or projection(answering), answering.entries))


def types(chunks: Sequence[dict[str, Any]]) -> list[str]:
    """Return the types of chunks."""
    return [chunk["type"] for chunk in chunks]


def deltas(chunks: Sequence[dict[str, Any]]) -> list[str]:
    """Return by what texts grew."""
    return [chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta"]


def answered(do: Callable[[Answering], object], **turned: Any) -> Answering:
    """Return an answer that is over; `turned` is what became of its run."""
    answering = Answering()
    do(answering)
    answering.turn(**{"status": "completed", **turned})
    return answering
