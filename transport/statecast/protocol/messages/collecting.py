"""Collecting encoders: they gather the whole answer and write it once, at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Json, chunks

from .encoder import MessageEncoder
from .part_events import Event, InMessage
from .projection import Projection
from .sent import BETWEEN

__all__ = ["CollectingEncoder", "arguments", "spoken"]

_string: Final = msgspec.json.Decoder(str)


class CollectingEncoder(MessageEncoder):
    """Collect what an answer adds to the messages, and write nothing before the end."""

    heartbeat = b""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._messages: dict[str, bool] = {}  #: ids, and whether they are new with the answer
        self._current = ""
        self._parts: dict[int, _Part] = {}
        self._growing: _Part | None = None

    def grown(self, piece: bytes) -> bytes:
        """Collect a piece, undecoded until the end."""
        if self._growing is not None:
            self._growing.pieces.append(piece)
        return b""

    def write(self, event: Event) -> bytes:
        """Collect what an event adds."""
        match event:
            case InMessage():
                self._messages.setdefault(event.id, event.begins)
                self._current = event.id
            case chunks.PartStarted():
                self._parts[event.part] = _Part(self._current, event.init)
            case chunks.TextDelta():
                self._growing = self._parts.get(event.part)
                if self._growing is not None:
                    self._growing.pieces.append(event.text)
            case chunks.ToolResult():
                if event.part in self._parts:
                    self._parts[event.part].result_fields = {"result": event.result, "isError": event.is_error}
            case _:
                pass
        return b""

    def parts(self) -> list[dict[str, Json]]:
        """Return the parts that the answer added, in the shape that they have in a state.

        New messages are returned as they are now; of a message that it continued, what was added.
        """
        now = {message.get("id"): message for message in self.projection.messages()}
        emitted = self.projection.emitted
        found: list[dict[str, Json]] = []
        for id, is_new in self._messages.items():
            known = now.get(id) if is_new else None
            if known is not None:
                found += [part for part in known["parts"] if isinstance(part, dict)]
            for number, part in self._parts.items():
                if part.message == id and (known is None or number in emitted):
                    found.append(part.value())
        return found


def spoken(parts: Sequence[dict[str, Json]], kind: str = "text") -> str:
    """Return the concatenated text of the parts of one type."""
    return BETWEEN.join(_texts(parts, kind))


def _texts(parts: Sequence[dict[str, Json]], kind: str) -> Iterator[str]:
    for part in parts:
        text = part.get("text")
        if part.get("type") == kind and isinstance(text, str) and text:
            yield text


class _Part:
    """A part that an answer began."""

    def __init__(self, message: str, init: chunks.Part) -> None:
        self.message = message
        self.pieces: list[str | bytes] = []  #: of its text; bytes are JSON strings, not decoded yet
        self.result_fields: dict[str, Json] = {}
        self._init = init

    def value(self) -> dict[str, Json]:
        fields: dict[str, Any] = msgspec.to_builtins(self._init)
        text = "".join(piece if isinstance(piece, str) else _string.decode(piece) for piece in self.pieces)
        if isinstance(self._init, chunks.ToolCallPart):
            return {**fields, "args": arguments(text), "argsText": text, **self.result_fields}
        if isinstance(self._init, chunks.TextPart | chunks.ReasoningPart):
            return {**fields, "text": text}
        return fields


def arguments(text: str) -> Json:
    """Return a call's arguments, decoded; `{}` if their text is not JSON."""
    try:
        return msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {}
