"""The UI message stream protocol: server-sent events, one chunk each, ended by `[DONE]`; the AI SDK's own.

A response is one message of the assistant: `start` … `finish`. It is one step, unless the agent tells of steps itself.
Where the client has the message already, the `start` names none, and a `start-step` follows it: without one the client
would take the tool results that it has just sent for those of the last step, and send them again for ever.
Source: docs/protocol/chat.md, "ui-message-stream".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

import msgspec

from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, typed_event
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
from statecast.protocol.messages.sent import error_text, file_url
from statecast_agents import Json, chunks

__all__ = ["UIMessageStreamEncoder"]

_encode: Final = msgspec.json.Encoder().encode
_string: Final = msgspec.json.Decoder(str)

#: Why a message ended, where this protocol has no word for the agent's.
_REASONS: Final = {"unknown": "other"}

#: Characters of a tool's error. It may be JSON in JSON, longer than in the state, and clients refuse frames of more
#: than 16 Mi; the state has all of it.
MAX_ERROR: Final = 2 * 2**20


class UIMessageStreamEncoder(MessageEncoder):
    """Writes a projection as a UI message stream."""

    name = "ui-message-stream"
    headers = (*EVENT_STREAM, (b"x-vercel-ai-ui-message-stream", b"v1"))
    heartbeat = HEARTBEAT

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._started = False
        self._in_step = False
        self._next: str | None = None  #: the message that is about to begin
        #: whether the client takes a message's id from a further `start`; to assistant-ui's runtime that is a second
        #: step, and it would wait for the end of the first one for ever
        self.takes_ids = True
        self._nameless = False  #: whether the stream began before its message did
        self._calls: dict[int, _Call] = {}
        self._texts: dict[int, str] = {}  #: what kind of text a part is
        self._growing: _Call | None = None  #: what grew last, if that was a call
        self._annotations: list[Json] = []
        self._failure: str | None = None  #: the failure that the agent emitted
        self._denied: set[str] = set()  #: calls that the user has denied in this stream

    def grown(self, piece: bytes) -> bytes:
        """Return by what a call's arguments grew."""
        return b"" if self._growing is None else self._growing.grown(piece)

    def written(self, events: Sequence[Event]) -> bytes:
        """Return the chunks of events; the first of all is a `start`, which names the message that they begin."""
        if not self._started:
            self._next = next((event.id for event in events if isinstance(event, InMessage) and event.begins), None)
        return super().written(events)

    def write(self, event: Event) -> bytes:
        """Return one or several chunks, or nothing."""
        if isinstance(event, InMessage):
            named = self._name(event)
            return named or self._begin(event.id if event.begins else None)
        frames = self._frames(event)
        return frames if self._started or not frames else self._begin(self._next) + frames

    def _frames(self, event: Event) -> bytes:
        if isinstance(event, StateReplaced):
            return _data("state", event.state, transient=True)
        if isinstance(event, StateChanged):
            return _data("state-operations", list(event.operations), transient=True)
        if isinstance(event, InMessage | RunTurned | Rewritten):
            return b""  # the last two are sent at the end; and a client keeps what it shows
        if isinstance(event, ApprovalAsked):
            return _ask(event)
        if isinstance(event, ApprovalAnswered):
            return self._answer(event)
        return self._chunk(event)

    def finish(self) -> bytes:
        """Return how the run ended, and the end marker. A stream in which nothing happened is an empty message."""
        run = None if self.turned is None else self.turned.run
        end = self.closed()
        end = self._begin(None) + end + self._finish_step()
        failure = self._failure if run is None or run.error is None else run.error.message
        if failure is not None:
            end += typed_event("error", errorText=failure)
        elif run is not None and run.status in ("cancelled", "interrupted"):
            end += typed_event("abort")
        report = self.report
        usage = {} if report.usage is None else {"usage": report.usage}
        metadata = {"messageMetadata": {**report.more, **usage}} if report.more or usage else {}
        return end + typed_event("finish", finishReason=self._reason(), **usage, **metadata) + b"data: [DONE]\n\n"

    def _chunk(self, chunk: chunks.Chunk) -> bytes:
        match chunk:
            case chunks.PartStarted():
                return self._start(chunk.part, chunk.init)
            case chunks.TextDelta():
                return self._grow(chunk)
            case chunks.ArgsFinished():
                call = self._calls.get(chunk.part)
                if call is None or (self.projection.cut_off and not call.complete):
                    return b""  # nobody is to answer it, be it with the error that its arguments would be
                return call.available()
            case chunks.ToolResult():
                return self._write_result(chunk)
            case chunks.PartFinished():
                kind = self._texts.pop(chunk.part, None)
                return b"" if kind is None else typed_event(f"{kind}-end", id=str(chunk.part))
            case chunks.StepStarted():
                if not self._started:
                    return self._begin(chunk.message_id)
                return b"" if self._in_step else self._step()
            case chunks.StepFinished():
                return self._finish_step()
            case chunks.Data():
                return b"".join(_data("data", data) for data in chunk.data)
            case chunks.Annotations():
                self._annotations += chunk.annotations
                return typed_event("message-metadata", messageMetadata={"annotations": self._annotations})
            case chunks.Failure():
                return self._fail(chunk)
            case chunks.MessageFinished():
                return b""  # sent at the end, when nothing can follow
            case _:
                assert_never(chunk)

    def _start(self, number: int, part: chunks.Part) -> bytes:
        match part:
            case chunks.TextPart() | chunks.ReasoningPart():
                kind = "text" if isinstance(part, chunks.TextPart) else "reasoning"
                self._texts[number] = kind
                return typed_event(f"{kind}-start", id=str(number))
            case chunks.ToolCallPart():
                self._calls[number] = _Call(part)
                return typed_event("tool-input-start", toolCallId=part.tool_call_id, toolName=part.tool_name)
            case chunks.SourcePart():
                title = {} if part.title is msgspec.UNSET else {"title": part.title}
                return typed_event("source-url", sourceId=part.id, url=part.url, **title)
            case chunks.FilePart():
                return typed_event("file", url=file_url(part.data, part.mime_type), mediaType=part.mime_type)
            case chunks.DataPart():
                return _data(part.name, part.data, id=self.projection.data_id(number))
            case _:
                assert_never(part)

    def _grow(self, chunk: chunks.TextDelta) -> bytes:
        call = self._growing = self._calls.get(chunk.part)
        if call is not None:
            return call.grown(_encode(chunk.text))
        if chunk.part not in self._texts:
            return b""
        fields = {"type": f"{self._texts[chunk.part]}-delta", "id": str(chunk.part)}
        return self.grows(b'data: %b,"delta":' % _encode(fields)[:-1], chunk.text, b"}\n\n")

    def _answer(self, answered: ApprovalAnswered) -> bytes:
        approval, approved = answered.approval, answered.approved
        end = b"" if approved else typed_event("tool-output-denied", toolCallId=answered.call_id)
        if not approved:
            self._denied.add(answered.call_id)
        if "display" in approval:
            return end
        why = {"reason": approval["reason"]} if "reason" in approval else {}
        return typed_event("tool-approval-response", approvalId=approval["id"], approved=approved, **why) + end

    def _write_result(self, result: chunks.ToolResult) -> bytes:
        """Return a result; it is the agent's, or another client's, so this one must not send it back as its own."""
        call_id = self.projection.call_id(result.part)
        if call_id is None or call_id in self._denied or self.projection.denied(call_id):
            return b""
        call = {"toolCallId": call_id}
        if result.is_error:
            text = error_text(result.result)[:MAX_ERROR]
            return typed_event("tool-output-error", **call, errorText=text, providerExecuted=True)
        return typed_event("tool-output-available", **call, output=result.result, providerExecuted=True)

    def _fail(self, failure: chunks.Failure) -> bytes:
        """Return what is no end of the run as data: a client reads nothing behind an `error`."""
        if failure.severity not in ("warning", "info"):
            self._failure = failure.text
            return b""
        code = {} if failure.code is msgspec.UNSET else {"code": failure.code}
        return _data("error", {"message": failure.text, "severity": failure.severity, **code}, transient=True)

    def _begin(self, message_id: str | None) -> bytes:
        if self._started:
            return b""
        self._started = True
        if self.projection.client_copy is not None:
            return typed_event("start") + self._step()
        self._in_step = True
        self._nameless = message_id is None and self.takes_ids
        return typed_event("start", **({} if message_id is None else {"messageId": message_id}))

    def _name(self, event: InMessage) -> bytes:
        """Return a further `start` with the id of a message that begins once the stream has. It begins no other one."""
        if not self._nameless or not event.begins:
            return b""
        self._nameless = False
        return typed_event("start", messageId=event.id)

    def _step(self) -> bytes:
        self._in_step = True
        return typed_event("start-step")

    def _finish_step(self) -> bytes:
        if not self._in_step:
            return b""
        self._in_step = False
        usage = {} if self.step_usage is None else {"usage": self.step_usage}
        self.step_usage = None
        return typed_event("finish-step", finishReason=self._reason(), **usage)

    def _reason(self) -> str:
        return _REASONS.get(self.finish_reason, self.finish_reason)


class _Call:
    """A tool call that the stream has begun."""

    def __init__(self, part: chunks.ToolCallPart) -> None:
        self.part = part
        self._head = _encode({"type": "tool-input-delta", "toolCallId": part.tool_call_id})[:-1]
        self._pieces: list[bytes] = []  #: of the arguments, as JSON strings

    def grown(self, piece: bytes) -> bytes:
        """Return by what the arguments grew, and keep it."""
        self._pieces.append(piece)
        return b'data: %b,"inputTextDelta":%b}\n\n' % (self._head, piece)

    @property
    def complete(self) -> bool:
        """Whether its arguments are JSON."""
        return self._input() is not msgspec.UNSET

    def available(self) -> bytes:
        """Return that the arguments are complete."""
        fields = {"toolCallId": self.part.tool_call_id, "toolName": self.part.tool_name}
        if not self.complete:
            why = "The arguments are not JSON."
            return typed_event("tool-input-error", **fields, input=self._text(), errorText=why)
        return typed_event("tool-input-available", **fields, input=self._input())

    def _text(self) -> str:
        return "".join(map(_string.decode, self._pieces)) or "{}"

    def _input(self) -> Json | msgspec.UnsetType:
        try:
            return msgspec.json.decode(self._text())
        except (msgspec.DecodeError, RecursionError):
            return msgspec.UNSET


def _ask(asked: ApprovalAsked) -> bytes:
    """Return that the user is asked to approve a call. A choice or a text is answered as a tool's output."""
    approval = asked.approval
    if "display" in approval:
        return b""
    why = {"reason": approval["prompt"]} if "prompt" in approval else {}
    more = {"approvalDescriptor": {"options": approval["options"]}} if "options" in approval else {}
    return typed_event("tool-approval-request", approvalId=approval["id"], toolCallId=asked.call_id, **why, **more)


def _data(name: str, data: Any, **fields: Any) -> bytes:
    return typed_event(f"data-{name}", data=data, **fields)
