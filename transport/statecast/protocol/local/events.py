"""An answer as server-sent events, each with a type: text, tool_use, tool_result and others.

A hand-written adapter reads them with one `switch`. Source: docs/protocol/text-sse-json.md, "POST /sse".
"""

from __future__ import annotations

import msgspec

from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, event_frame, typed_event
from statecast.protocol.messages.collecting import arguments
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.part_events import Event
from statecast.protocol.messages.projection import Projection
from statecast_agents import chunks

__all__ = ["TypedEventsEncoder"]


class TypedEventsEncoder(MessageEncoder):
    """Write a projection as typed events."""

    name = "events"
    headers = EVENT_STREAM
    heartbeat = HEARTBEAT

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._over = False
        self._texts: dict[int, str] = {}  #: what kind of text a part is
        self._calls: dict[int, tuple[chunks.ToolCallPart, list[str]]] = {}  #: with the pieces of their arguments

    @property
    def cut(self) -> bool:
        """Whether the run failed, or its end is unknown: many adapters look for no error."""
        return not self._over or self.error is not None

    def write(self, event: Event) -> bytes:
        """Return the server-sent event of an event; `b""` if there is none."""
        match event:
            case chunks.PartStarted():
                return self._start(event.part, event.init)
            case chunks.TextDelta():
                return self._grow(event)
            case chunks.ArgsFinished() if event.part in self._calls:
                call, pieces = self._calls[event.part]
                given = arguments("".join(pieces))
                return typed_event("tool_use", id=call.tool_call_id, name=call.tool_name, input=given)
            case chunks.ToolResult() if event.part in self._calls:
                fields = {"tool_use_id": self._calls[event.part][0].tool_call_id, "content": event.result}
                return typed_event("tool_result", **fields, **({"is_error": True} if event.is_error else {}))
            case chunks.Failure():
                given = {"code": event.code} if isinstance(event.code, str) else {}
                return typed_event("notice", message=event.text, **given)
            case _:
                return b""

    def finish(self) -> bytes:
        """Return the event that ends the stream: `done`, or `error`."""
        self._over = True
        if self.error is not None:
            return typed_event("error", code=self.error.code, message=self.error.message)
        return typed_event("done", finishReason=self.finish_reason, usage=self.usage or chunks.Usage())

    def _start(self, number: int, part: chunks.Part) -> bytes:
        match part:
            case chunks.TextPart():
                self._texts[number] = "text"
            case chunks.ReasoningPart():
                self._texts[number] = "reasoning"
            case chunks.ToolCallPart():
                self._calls[number] = part, []
            case _:
                return event_frame({**msgspec.to_builtins(part), "part": number})
        return b""

    def _grow(self, chunk: chunks.TextDelta) -> bytes:
        kind = self._texts.get(chunk.part)
        if kind is not None:
            head = b'data: {"type":"%b","part":%d,"content":' % (kind.encode(), chunk.part)
            return self.grows(head, chunk.text, b"}\n\n")
        if chunk.part in self._calls:
            self._calls[chunk.part][1].append(chunk.text)
        return b""
