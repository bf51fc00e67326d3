"""Ask a served agent over HTTP, in either protocol, and see what a client would make of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from statecast.protocol.assistant_transport import data_stream, events
from statecast.state import operations

PROTOCOLS = ["data-stream", "assistant-transport"]

Json = Any


@dataclass(frozen=True)
class Answer:
    """What a response amounts to."""

    state: Json  #: what a client computes from the operations
    error: str | None  #: what it would report
    frames: int  #: batches of operations
    headers: httpx.Headers

    @property
    def parts(self) -> list[Json]:
        """The parts of the last message."""
        parts: list[Json] = self.state["messages"][-1]["parts"]
        return parts

    @property
    def text(self) -> str:
        """The text of the last message."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


def say(text: str, **fields: Json) -> Json:
    """Return an `add-message` command."""
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    return {"type": "add-message", "message": message, "parentId": None, "sourceId": None, **fields}


def ask(
    base: str, *commands: Json, protocol: str = PROTOCOLS[0], thread: str = "t", state: Json = None, **body: Json
) -> Answer:
    """Post commands, read the stream to its end, and decode it.

    Raises:
        httpx.HTTPStatusError: The request was refused.
    """
    request = {"commands": commands, "threadId": thread, "state": state, **body}
    response = httpx.post(f"{base}/assistant?protocol={protocol}", json=request, timeout=30)
    response.raise_for_status()
    batches, error = decode(protocol, response.content)
    for batch in batches:
        state = operations.apply(state, operations.decode(msgspec.json.encode(batch)))
    return Answer(state, error, len(batches), response.headers)


def decode(protocol: str, body: bytes) -> tuple[list[Json], str | None]:
    """Return the batches of operations in a response, and its error."""
    if protocol == "data-stream":
        lines = data_stream.decode(body)
        errors = [value for code, value in lines if code == "3"]
        return [value for code, value in lines if code == "aui-state"], errors[0] if errors else None
    chunks, ended = events.decode(body)
    assert ended, "expected the end marker"
    errors = [chunk["error"] for chunk in chunks if chunk["type"] == "error"]
    batches = [chunk["operations"] for chunk in chunks if chunk["type"] == "update-state"]
    return batches, errors[0] if errors else None
