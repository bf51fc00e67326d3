"""Read the events of Anthropic's Messages API.

The events that `client.messages.stream()` derives from the raw ones are skipped. Tools that Anthropic runs itself (web
search, code execution, …) appear as calls with a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from statecast_agents.chunks import FinishReason
from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.plain import attribute, counts, plain
from statecast_agents.message import ToolCall
from statecast_agents.values import Json, plain_copy

__all__ = ["AnthropicReader"]

_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool-calls",
    "pause_turn": "other",
    "refusal": "content-filter",
}

#: Blocks that a message expresses: any other must be sent back with the next request as it is.
_EXPRESSED: Final = frozenset({"text", "tool_use"})

#: Fields of a hosted tool's result that only the provider can read.
_OPAQUE: Final = frozenset({"encrypted_content", "encrypted_index", "encrypted_stdout"})


class AnthropicReader:
    """Copy the events of one message into an answer.

    Args:
        answer: The answer.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._blocks: dict[int, _Block] = {}  #: by their index
        self._hosted: dict[str, ToolCall] = {}  #: calls of hosted tools by their ids
        self._complete = False

    def read(self, event: Any) -> None:
        """Copy one event."""
        match event.type:
            case "content_block_delta":
                self._read_delta(self._blocks[event.index], event.delta)
            case "content_block_start":
                self._begin(event.index, event.content_block)
            case "content_block_stop":
                self._end(self._blocks[event.index])
            case "message_start":
                self.answer.model = event.message.model
                self._count(event.message.usage)
            case "message_delta":
                self._count(event.usage)
                if event.delta.stop_reason is not None:
                    self.answer.finish_reason = _REASONS.get(event.delta.stop_reason, "other")
                    self.answer.paused = event.delta.stop_reason == "pause_turn"
            case "message_stop":
                self._complete = True

    def close(self) -> list[ToolCall]:
        """Finish the answer, and return the calls to answer.

        Raises:
            AgentError: "model_cut_off".
        """
        if not self._complete:
            self.answer.finish_reason = None
        calls = self.answer.close()
        if any(block.start["type"] not in _EXPRESSED for block in self._blocks.values()):
            self.answer.keep("anthropic", [block.content() for block in self._blocks.values()])
        return calls

    def _begin(self, index: int, content: Any) -> None:
        kind = content.type
        block = self._blocks[index] = _Block(plain(content))
        if kind == "tool_use":
            block.call = self.answer.add_call(content.name, content.id)
        elif kind.endswith("tool_use"):
            block.call = self._hosted[content.id] = self.answer.add_hosted_call(content.name, content.id)
        elif kind.endswith("tool_result"):
            self._set_result(content.tool_use_id, block.start)
        elif kind in ("text", "thinking"):
            self._grow(block, getattr(content, kind))

    def _read_delta(self, block: _Block, delta: Any) -> None:
        match delta.type:
            case "text_delta":
                self._grow(block, delta.text)
            case "thinking_delta":
                self._grow(block, delta.thinking)
            case "input_json_delta" if block.call is not None:
                block.call.append_args(delta.partial_json)
            case "signature_delta":
                block.start["signature"] = delta.signature
            case "citations_delta":
                citation = plain(delta.citation)
                block.citations.append(citation)
                self.answer.add_source(citation.get("url"), citation.get("title"))

    def _grow(self, block: _Block, delta: str) -> None:
        if delta:
            block.texts.append(delta)
            if block.start["type"] == "text":
                self.answer.append_text(delta)
            else:
                self.answer.append_reasoning(delta)

    def _end(self, block: _Block) -> None:
        if block.call is not None and block.start["type"] != "tool_use":
            block.call.finish_args()

    def _set_result(self, call_id: str, block: Mapping[str, Json]) -> None:
        call = self._hosted.get(call_id)
        if call is not None:
            result = _readable(block.get("content"))
            kind = result.get("type", "") if isinstance(result, dict) else ""
            call.set_result(result, is_error=kind.endswith("_error") or block.get("is_error") is True)

    def _count(self, usage: Any) -> None:
        """Note the numbers of tokens: the input's come with the first event, the output's with the last."""
        read = counts(
            new=attribute(usage, "input_tokens"),
            cached=attribute(usage, "cache_read_input_tokens"),
            written=attribute(usage, "cache_creation_input_tokens"),
        )
        if "new" in read:
            self.answer.usage["input_tokens"] = sum(read.values())
        if "cached" in read:
            self.answer.usage["cached_input_tokens"] = read["cached"]
        self.answer.usage |= counts(output_tokens=attribute(usage, "output_tokens"))


class _Block:
    """A block of the message's content, for the next request.

    Args:
        start: What the provider opened it with, as JSON.
    """

    __slots__ = ("call", "citations", "start", "texts")

    def __init__(self, start: dict[str, Json]) -> None:
        self.start = start
        self.texts: list[str] = []
        self.citations: list[Json] = []
        self.call: ToolCall | None = None

    def content(self) -> dict[str, Json]:
        """Return the whole block."""
        kind = self.start["type"]
        block = dict(self.start)
        if kind in ("text", "thinking"):
            block[kind] = "".join(self.texts)
        if self.citations:
            block["citations"] = self.citations
        if self.call is not None:
            block["input"] = plain_copy(self.call.args)
        return block


def _readable(value: Json) -> Json:
    """Return a hosted tool's result without the fields that only the provider can read."""
    if isinstance(value, dict):
        return {name: _readable(item) for name, item in value.items() if name not in _OPAQUE}
    return [*map(_readable, value)] if isinstance(value, list) else value
