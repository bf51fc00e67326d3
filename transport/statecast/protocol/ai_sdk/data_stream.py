"""The data-stream protocol for clients that hold the messages themselves: assistant-ui's data-stream runtime.

The lines are those of `data_stream`; what they carry is the growth of the assistant's message, and beside it what else
is in the state. A part cannot change in this protocol: a data part that does is sent again as data beside the message,
and the first result of a tool call stays. Source: docs/protocol/chat.md, "POST /chat".
"""

from __future__ import annotations

from typing import Any

import msgspec

from statecast.protocol.assistant_transport.data_stream import DataStreamEncoder, DataStreamLines
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.part_events import (
    ApprovalAnswered,
    ApprovalAsked,
    Event,
    InMessage,
    Rewritten,
    RunTurned,
    StateChanged,
    StateReplaced,
)
from statecast.protocol.messages.projection import Projection
from statecast_agents import chunks

__all__ = ["DataStreamMessagesEncoder"]


class DataStreamMessagesEncoder(MessageEncoder):
    """Writes a projection as a data stream.

    Args:
        projection: What to write.
        approvals: Whether the client knows lines about approvals. Older decoders end the run at one, and no request
            tells them apart, so the client asks for them.
    """

    name = "data-stream"
    headers = DataStreamEncoder.headers
    heartbeat = DataStreamEncoder.heartbeat

    def __init__(self, projection: Projection, *, approvals: bool = False) -> None:
        super().__init__(projection)
        self._sends_approvals = approvals
        self._lines = DataStreamLines()
        self._started = False
        self._in_step = False
        self._sent: set[int] = set()  #: data parts that were sent, and calls with a result

    def write(self, event: Event) -> bytes:
        """Return a line, or nothing."""
        match event:
            case InMessage():
                return b"" if self._started else self._step(event.id)
            case StateReplaced():
                return self._state([{"type": "set", "path": [], "value": event.state}])
            case StateChanged():
                return self._state(list(event.operations))
            case RunTurned() | Rewritten() | chunks.MessageFinished():
                return b""  # sent at the end; and a client keeps what it shows
            case chunks.StepStarted():
                return b"" if self._in_step else self._step(event.message_id)
            case chunks.StepFinished():
                self._in_step = False
            case chunks.PartStarted(part=part, init=chunks.DataPart() as data):
                if part in self._sent:
                    return self._lines.write("2", [{"name": data.name, "data": data.data}])
                self._sent.add(part)
            case ApprovalAsked() | ApprovalAnswered():
                fields = {"toolCallId": event.call_id, "approval": event.approval}
                return self._lines.write("aui-tool-call-approval", fields) if self._sends_approvals else b""
            case chunks.ToolResult():
                if event.part in self._sent:
                    return b""
                self._sent.add(event.part)
            case _:
                pass
        line = self._lines.of("", event)
        if line is not None and isinstance(event, chunks.TextDelta):
            head, _, tail = line.rpartition(msgspec.json.encode(event.text))
            return self.grows(head, event.text, tail)
        return line or b""

    def finish(self) -> bytes:
        """Return how the run ended; without it the client treats the end as a success."""
        run = None if self.turned is None else self.turned.run
        lines = [self.closed()]
        if run is not None and run.error is not None:
            lines.append(self._lines.write("3", run.error.message))
        if self._in_step:
            lines.append(self._lines.write("e", {**self._why(self.step_usage or self.usage), "isContinued": False}))
        lines.append(self._lines.write("d", self._why(self.usage)))
        return b"".join(lines)

    def _why(self, usage: chunks.Usage | None) -> dict[str, Any]:
        return {"finishReason": self.finish_reason, "usage": usage or chunks.Usage()}

    def _step(self, message_id: str) -> bytes:
        self._started = self._in_step = True
        return self._lines.write("f", {"messageId": message_id})

    def _state(self, changed: list[Any]) -> bytes:
        return self._lines.write("aui-state", changed)
