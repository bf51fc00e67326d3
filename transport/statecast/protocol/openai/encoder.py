"""OpenAI's chat completions: chunks of a stream, or one object.

The protocol knows text, reasoning (in the field that most servers have for it), and calls that its client is to answer.
Calls that the agent answers itself are not shown: a client would run them again. A stream shows the calls of tools that
the client declared as they grow, and others at its end, when it is known that they are left for the client. A call is
shown once the one before it is complete, since clients take the beginning of a call for the end of the last.
Source: docs/protocol/chat-completions.md, "POST /v1/chat/completions".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.entries import Entry
from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, event_frame
from statecast.protocol.messages.collecting import CollectingEncoder, spoken
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.part_events import Event
from statecast.protocol.messages.projection import Projection
from statecast.protocol.messages.sent import BETWEEN
from statecast_agents import Json, chunks

__all__ = ["ChatCompletionEncoder", "ChatCompletionStreamEncoder", "Completion", "openai_error"]

_encode: Final = msgspec.json.Encoder().encode

#: Why a completion ended, where this protocol has another word for it, or none.
_REASONS: Final = {
    "content-filter": "content_filter",
    "error": "stop",
    "other": "stop",
    "tool-calls": "stop",  # the agent's own word, where no call is left open
    "unknown": "stop",
}


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that all objects of one answer have in common."""

    id: str
    model: str
    created: int  #: seconds since 1970


def openai_error(kind: str, code: str, message: str, param: object = None) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class ChatCompletionEncoder(CollectingEncoder):
    """Writes the answer once it is complete.

    Args:
        projection: Of the answer.
        completion: What the answer is called.
    """

    name = "chat.completion"
    headers = ((b"content-type", b"application/json"),)

    def __init__(self, projection: Projection, completion: Completion) -> None:
        super().__init__(projection)
        self._completion = completion

    def finish(self) -> bytes:
        """Return the completion, without the run's error."""
        parts = self.parts()
        calls = [_call(part) for part in parts if part.get("type") == "tool-call" and "result" not in part]
        text = spoken(parts)
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
        if reasoning := spoken(parts, "reasoning"):
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = calls
        reason = "tool_calls" if calls else _REASONS.get(self.finish_reason, self.finish_reason)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        head = {**msgspec.to_builtins(self._completion), "object": "chat.completion"}
        return _encode({**head, "choices": [choice], "usage": _used(self.usage)})


class ChatCompletionStreamEncoder(MessageEncoder):
    """Write an answer as it grows.

    Args:
        projection: Of the answer.
        completion: What the answer is called.
        tools: Names of the tools that the client declared.
        include_usage: Whether the last chunk is to tell it.
    """

    name = "chat.completion.chunk"
    headers = EVENT_STREAM
    heartbeat = HEARTBEAT

    def __init__(
        self,
        projection: Projection,
        completion: Completion,
        *,
        tools: frozenset[str] = frozenset(),
        include_usage: bool = False,
    ) -> None:
        super().__init__(projection)
        self._tools = tools
        self._include_usage = include_usage
        fields = {**msgspec.to_builtins(completion), "object": "chat.completion.chunk"}
        self._before = b"data: %b," % _encode(fields)[:-1]
        self._after = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._begun = False
        self._over = False
        self._texts: dict[int, str] = {}  #: which field a part grows
        self._calls: dict[int, _Call] = {}
        self._growing: _Call | None = None  #: the call that was sent last
        self._waiting: deque[_Call] = deque()  #: calls to be sent once that one is complete
        self._sent = 0  #: how many calls the client has seen
        self._grown: set[str] = set()  #: fields that have grown
        self._pauses: set[str] = set()  #: of these, those of which another part began since

    @property
    def cut(self) -> bool:
        """Whether the run's end is unknown: many clients take any end for success."""
        return not self._over

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return the chunks for the part of a state that the client has not seen; of tool calls, only the open ones."""
        tools, self._tools = self._tools, frozenset()
        frames = super().snapshot(state, revision, rest)
        self._tools = tools
        self._waiting.extend(call for call in self._calls.values() if call.name in tools)
        return frames + self._send_waiting()

    def write(self, event: Event) -> bytes:
        """Return the chunks of an event; `b""` if there are none."""
        match event:
            case chunks.PartStarted():
                return self._start(event.part, event.init)
            case chunks.TextDelta() if event.part in self._texts:
                return self._say(self._texts[event.part], event.text)
            case chunks.TextDelta() if event.part in self._calls:
                return self._grow_call(self._calls[event.part], event.text)
            case chunks.ArgsFinished() if event.part in self._calls:
                self._calls[event.part].complete = True
                return self._send_waiting()
            case chunks.ToolResult() if event.part in self._calls:
                call = self._calls.pop(event.part)
                call.complete = True
                if call in self._waiting:
                    self._waiting.remove(call)
                return self._send_waiting()
            case _:
                pass
        return b""

    def finish(self) -> bytes:
        """Return the last chunks, with the finish reason or the error, and the end marker."""
        self._over = True
        end = b"data: [DONE]\n\n"
        if self.error is not None:
            return event_frame(openai_error("server_error", self.error.code, self.error.message)) + end
        last = b"".join([self._send(call) for call in self._calls.values() if call.index is None])
        reason = "tool_calls" if self._calls else _REASONS.get(self.finish_reason, self.finish_reason)
        last += self._begin() + self._chunk({}, reason)
        if self._include_usage:
            last += self._before + b'"choices":[],"usage":%b}\n\n' % _encode(_used(self.usage))
        return last + end

    def _start(self, number: int, part: chunks.Part) -> bytes:
        match part:
            case chunks.TextPart() | chunks.ReasoningPart():
                name = self._texts[number] = "content" if isinstance(part, chunks.TextPart) else "reasoning_content"
                self._pauses |= self._grown & {name}
            case chunks.ToolCallPart():
                call = self._calls[number] = _Call(part.tool_call_id, part.tool_name)
                if call.name in self._tools:
                    self._waiting.append(call)
                    return self._send_waiting()
            case _:
                pass
        return b""

    def _say(self, field: str, text: str) -> bytes:
        pause = self._chunk({field: BETWEEN}) if field in self._pauses else b""
        self._grown.add(field)
        self._pauses.discard(field)
        head = self._before + b'"choices":[{"index":0,"delta":{"%b":' % field.encode()
        tail = b'},"logprobs":null,"finish_reason":null}]' + self._after
        return self._begin() + pause + self.grows(head, text, tail)

    def _grow_call(self, call: _Call, text: str) -> bytes:
        if call.index is None:
            call.pieces.append(text)
            return b""
        delta = b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"function":{"arguments":' % call.index
        tail = b'}}]},"logprobs":null,"finish_reason":null}]' + self._after
        return self.grows(self._before + delta, text, tail)

    def _send_waiting(self) -> bytes:
        """Return the chunks of the calls that may be sent now."""
        frames = b""
        while self._waiting and (self._growing is None or self._growing.complete):
            self._growing = self._waiting.popleft()
            frames += self._send(self._growing)
        return frames

    def _send(self, call: _Call) -> bytes:
        begin = self._begin()
        call.index = self._sent
        self._sent += 1
        function = {"name": call.name, "arguments": "".join(call.pieces)}
        delta = {"index": call.index, "id": call.id, "type": "function", "function": function}
        return begin + self._chunk({"tool_calls": [delta]})

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._before + b'"choices":[%b]' % _encode(choice) + self._after


class _Call:
    """A call that a stream has begun."""

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.index: int | None = None  #: once it is sent
        self.complete = False  #: whether its arguments are
        self.pieces: list[str] = []  #: of its arguments, until then


def _used(usage: chunks.Usage | None) -> dict[str, Any]:
    used = chunks.Usage() if usage is None else usage
    found: dict[str, Any] = {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
    }
    if used.cached_input_tokens is not msgspec.UNSET:
        found["prompt_tokens_details"] = {"cached_tokens": used.cached_input_tokens}
    if used.reasoning_tokens is not msgspec.UNSET:
        found["completion_tokens_details"] = {"reasoning_tokens": used.reasoning_tokens}
    return found


def _call(part: dict[str, Json]) -> dict[str, Any]:
    text = part.get("argsText") or _encode(part.get("args") or {}).decode()
    function = {"name": part["toolName"], "arguments": text}
    return {"id": part["toolCallId"], "type": "function", "function": function}
