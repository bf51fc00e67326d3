"""The wires of model providers, `/v1/chat/completions`, `/v1/responses` and `/v1/messages`: deltas as events.

A delta is `("text", delta)`, `("reasoning", delta)`, `("call", id, name)`, `("args", id, delta)`, `("length",)` or
`("error",)`; some wires know more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["SECRET", "WIRES", "Wire", "frame"]

Json = Any

SECRET = "sk-secret-of-the-provider"


def frame(event: Json) -> bytes:
    """Return an event as one of an event stream."""
    data = event if isinstance(event, str) else json.dumps(event)
    name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
    return f"{name}data: {data}\n\n".encode()


def _text(values: tuple[str, ...]) -> str:
    return values[0] if values else f"out of memory at {SECRET}"


class Wire:
    """The events of one API."""

    def begin(self) -> Iterator[Json]:
        return iter(())

    def events(self, kind: str, *values: Any) -> Iterator[Json]:
        raise NotImplementedError

    def end(self) -> Iterator[Json]:
        raise NotImplementedError


class _Chat(Wire):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.reason = "stop"
        self.usage = (7, 3)

    def chunk(self, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice]}

    def begin(self) -> Iterator[Json]:
        yield self.chunk({"role": "assistant", "content": ""})

    def events(self, kind: str, *values: Any) -> Iterator[Json]:
        match kind:
            case "text":
                yield self.chunk({"content": values[0]})
            case "reasoning":
                yield self.chunk({"reasoning_content": values[0]})
            case "refusal":
                yield self.chunk({"refusal": values[0]})
            case "call":
                self.calls.append(values[0])
                self.reason = "tool_calls"
                function = {"name": values[1], "arguments": ""}
                piece = {"index": len(self.calls) - 1, "id": values[0], "type": "function", "function": function}
                yield self.chunk({"tool_calls": [piece | dict(values[2:])]})
            case "args":
                piece = {"index": self.calls.index(values[0]), "function": {"arguments": values[1]}}
                yield self.chunk({"tool_calls": [piece]})
            case "extra":
                yield self.chunk(values[0])
            case "usage":
                self.usage = values
            case "length":
                self.reason = "length"
            case "error":
                yield {
                    "error": {
                        "message": _text(values),
                        "type": "server_error",
                        "code": "oom",
                    }
                }

    def end(self) -> Iterator[Json]:
        yield self.chunk({}, self.reason)
        read, written = self.usage
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        yield {**self.chunk({}), "choices": [], "usage": usage}
        yield "[DONE]"


class _Responses(Wire):
    def __init__(self) -> None:
        self.number = 0
        self.items: list[Json] = []
        self.usage = (7, 3)
        self.incomplete: Json = None

    def event(self, kind: str, **fields: Json) -> Json:
        self.number += 1
        return {"type": kind, "sequence_number": self.number, **fields}

    def response(self, status: str, **fields: Json) -> Json:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "fake",
            "status": status,
            "output": self.items,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "incomplete_details": self.incomplete,
            **fields,
        }

    def begin(self) -> Iterator[Json]:
        yield self.event("response.created", response=self.response("in_progress"))

    def events(self, kind: str, *values: Any) -> Iterator[Json]:
        match kind:
            case "text":
                begins = not self.items or self.items[-1]["type"] != "message"
                yield from self._open("message", {"role": "assistant", "content": [], "status": "in_progress"})
                at = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1, "content_index": 0}
                if begins:
                    part = {"type": "output_text", "text": "", "annotations": []}
                    yield self.event("response.content_part.added", part=part, **at)
                self.items[-1]["text"] = self.items[-1].get("text", "") + values[0]
                yield self.event("response.output_text.delta", delta=values[0], logprobs=[], **at)
            case "reasoning":
                yield from self._open("reasoning", {"summary": [], "encrypted_content": "sealed"})
                at = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1, "summary_index": 0}
                yield self.event("response.reasoning_summary_text.delta", delta=values[0], **at)
            case "call":
                call = {"call_id": values[0], "name": values[1], "arguments": "", "status": "in_progress"}
                yield from self._add("function_call", call)
            case "args":
                place = next(i for i, item in enumerate(self.items) if item.get("call_id") == values[0])
                self.items[place]["arguments"] += values[1]
                at = {"item_id": self.items[place]["id"], "output_index": place}
                yield self.event("response.function_call_arguments.delta", delta=values[1], **at)
            case "item":
                yield from self._add(*values)
            case "usage":
                self.usage = values
            case "length":
                self.incomplete = {"reason": "max_output_tokens"}
            case "error":
                error = {"code": "server_error", "message": _text(values)}
                yield self.event("response.failed", response=self.response("failed", error=error))

    def end(self) -> Iterator[Json]:
        for place, item in enumerate(self.items):
            if item["type"] == "message":
                item["content"] = [{"type": "output_text", "text": item.pop("text"), "annotations": []}]
            item["status"] = "completed"
            yield self.event("response.output_item.done", item=item, output_index=place)
        read, written = self.usage
        usage = {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        kind = "completed" if self.incomplete is None else "incomplete"
        yield self.event(f"response.{kind}", response=self.response(kind, usage=usage))

    def _open(self, kind: str, fields: Json) -> Iterator[Json]:
        if not self.items or self.items[-1]["type"] != kind:
            yield from self._add(kind, fields)

    def _add(self, kind: str, fields: Json) -> Iterator[Json]:
        self.items.append({"id": f"{kind}_{len(self.items)}", "type": kind, **fields})
        yield self.event("response.output_item.added", item=self.items[-1], output_index=len(self.items) - 1)


class _Anthropic(Wire):
    def __init__(self) -> None:
        self.blocks: list[Json] = []
        self.reason = "end_turn"
        self.usage = (7, 3)

    def begin(self) -> Iterator[Json]:
        message: Json = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "fake",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 1},
        }
        yield {"type": "message_start", "message": message}
        yield {"type": "ping"}

    def events(self, kind: str, *values: Any) -> Iterator[Json]:
        match kind:
            case "text":
                yield from self._open({"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": values[0]})
            case "reasoning":
                yield from self._open({"type": "thinking", "thinking": "", "signature": ""})
                yield self._delta({"type": "thinking_delta", "thinking": values[0]})
            case "signature":
                yield self._delta({"type": "signature_delta", "signature": values[0]})
            case "call":
                self.reason = "tool_use"
                yield from self._add({"type": "tool_use", "id": values[0], "name": values[1], "input": {}})
            case "args":
                place = next(i for i, block in enumerate(self.blocks) if block.get("id") == values[0])
                yield self._delta({"type": "input_json_delta", "partial_json": values[1]}, place)
            case "block":
                yield from self._add(values[0])
                for delta in values[1:]:
                    yield self._delta(delta)
            case "reason":
                self.reason = values[0]
            case "usage":
                self.usage = values
            case "length":
                self.reason = "max_tokens"
            case "error":
                yield {
                    "type": "error",
                    "error": {
                        "type": "overloaded_error",
                        "message": _text(values),
                    },
                }

    def end(self) -> Iterator[Json]:
        for place in range(len(self.blocks)):
            yield {"type": "content_block_stop", "index": place}
        delta = {"stop_reason": self.reason, "stop_sequence": None}
        usage = {"input_tokens": self.usage[0], "output_tokens": self.usage[1]}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}

    def _open(self, block: Json) -> Iterator[Json]:
        if not self.blocks or self.blocks[-1]["type"] != block["type"]:
            yield from self._add(block)

    def _add(self, block: Json) -> Iterator[Json]:
        self.blocks.append(block)
        yield {"type": "content_block_start", "index": len(self.blocks) - 1, "content_block": block}

    def _delta(self, delta: Json, place: int | None = None) -> Json:
        index = len(self.blocks) - 1 if place is None else place
        return {"type": "content_block_delta", "index": index, "delta": delta}


WIRES: dict[str, Callable[[], Wire]] = {
    "/v1/chat/completions": _Chat,
    "/v1/responses": _Responses,
    "/v1/messages": _Anthropic,
}
