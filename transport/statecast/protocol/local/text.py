"""The text of an answer and nothing else: raw, or as server-sent events with a piece of it in each.

Hand-written adapters read these. Source: docs/protocol/text-sse-json.md, "POST /text".

Rule: neither protocol can express a failure that such an adapter would notice. So the stream of a failed run is cut,
like that of a run whose end is unknown.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import msgspec

from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, STREAMED, event_frame
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.part_events import Event
from statecast.protocol.messages.projection import Projection
from statecast.protocol.messages.sent import BETWEEN
from statecast_agents import chunks

__all__ = ["ContentEventsEncoder", "PlainTextEncoder"]

_string: Final = msgspec.json.Decoder(str)


class _TextEncoder(MessageEncoder):
    """Picks the text parts of an answer out of all its events."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self.over = False  #: whether the run's end was reached
        self.in_text = False  #: whether the part that grows is a text
        self._texts: set[int] = set()
        self._grown = False
        self._pauses = False  #: whether another text began since the last one grew

    @property
    def cut(self) -> bool:
        """Whether the run failed, or its end is unknown."""
        return not self.over or self.error is not None

    def write(self, event: Event) -> bytes:
        """Return the text that an event adds."""
        if isinstance(event, chunks.PartStarted) and isinstance(event.init, chunks.TextPart):
            self._texts.add(event.part)
            self._pauses = self._grown
        elif isinstance(event, chunks.TextDelta):
            self.in_text = event.part in self._texts
            if self.in_text:
                pause = self.frame_of(BETWEEN) if self._pauses else b""
                self._grown, self._pauses = True, False
                return pause + self.frame_of(event.text)
        return b""

    def finish(self) -> bytes:
        """Record that the run's end was reached."""
        self.over = True
        return b""

    @abstractmethod
    def frame_of(self, text: str) -> bytes:
        """Return the frame of a text."""


class PlainTextEncoder(_TextEncoder):
    """Writes the text as it is."""

    name = "text"
    headers = (
        (b"content-type", b"text/plain; charset=utf-8"),
        *STREAMED,
        (b"x-content-type-options", b"nosniff"),
    )
    heartbeat = b""

    def grown(self, piece: bytes) -> bytes:
        """Return the text of a JSON string."""
        return _string.decode(piece).encode() if self.in_text else b""

    def frame_of(self, text: str) -> bytes:
        """Return the text."""
        return text.encode()


class ContentEventsEncoder(_TextEncoder):
    """Writes the text as events: `data: {"content": "…"}`, ended by `[DONE]`."""

    name = "content"
    headers = EVENT_STREAM
    heartbeat = HEARTBEAT

    def frame_of(self, text: str) -> bytes:
        """Return the event of a text."""
        return self.grows(b'data: {"content":', text, b"}\n\n")

    def finish(self) -> bytes:
        """Return the end marker, or the error of a failed run."""
        super().finish()
        return b"data: [DONE]\n\n" if self.error is None else event_frame({"error": self.error})
