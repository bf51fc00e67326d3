"""Read the stream of OpenAI's chat completions, as OpenAI, LiteLLM and every compatible server send it.

Chunks are read by their attributes, whatever their classes. Fields that OpenAI does not define arrive as extra
attributes: `reasoning_content` or `reasoning` (text), `citations` (URLs), and what the next request must send back:
`thinking_blocks`, `reasoning_details`, and `extra_content` or `provider_specific_fields` of a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from statecast_agents.chunks import FinishReason
from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.plain import attribute, counts, plain
from statecast_agents.message import ToolCall
from statecast_agents.values import Json

__all__ = ["ChatReader"]

_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
}

#: Fields of the message and of its calls that the next request must have.
_SENT_BACK: Final = ("thinking_blocks", "reasoning_details")
_SENT_BACK_OF_CALLS: Final = ("extra_content", "provider_specific_fields")


class ChatReader:
    """Copy chunks of a chat completion into an answer. Of several choices, only the first is read.

    Args:
        answer: The answer.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._calls: dict[int, tuple[str | None, ToolCall]] = {}  #: the latest at each index, with the id it came with
        self._kept: dict[str, list[Json]] = {}  #: fields of the message for the next request
        self._extra: dict[str, Json] = {}  #: likewise of each call, by the calls' ids

    def read(self, chunk: Any) -> None:
        """Copy one chunk."""
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if choice.delta is not None:
                self._read_delta(_fields(choice.delta))
            if choice.finish_reason:
                self.answer.finish_reason = _REASONS.get(choice.finish_reason, "other")
                self.answer.model = chunk.model
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self.answer.usage = _usage(usage)
        for url in getattr(chunk, "citations", None) or ():
            self.answer.add_source(url)

    def close(self) -> list[ToolCall]:
        """Finish the answer, and return the calls to answer.

        Raises:
            AgentError: "model_cut_off".
        """
        calls = self.answer.close()
        if self._kept or self._extra:
            self.answer.keep("chat", {"message": self._kept, "calls": self._extra})
        return calls

    def _read_delta(self, delta: Mapping[str, Any]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            self.answer.append_reasoning(reasoning)
        self.answer.append_text(delta.get("content") or delta.get("refusal"))
        for piece in delta.get("tool_calls") or ():
            self._read_call(piece)
        for name in _SENT_BACK:
            for block in plain(delta.get(name)) or ():
                _add_block(self._kept.setdefault(name, []), block)
        for annotation in plain(delta.get("annotations")) or ():
            cited = annotation.get("url_citation") or {}
            self.answer.add_source(cited.get("url"), cited.get("title"))

    def _read_call(self, piece: Any) -> None:
        """Copy a piece of a call.

        Some servers give every call the index 0 and another id; some repeat the id in each piece, or leave it empty.
        """
        index = piece.index or 0
        known = self._calls.get(index)
        if known is None or (piece.id and piece.id != known[0]):
            known = piece.id or None, self.answer.add_call(piece.function.name or "", piece.id)
            self._calls[index] = known
            extra = {name: value for name, value in _fields(piece).items() if name in _SENT_BACK_OF_CALLS and value}
            if extra:
                self._extra[known[1].id] = plain(extra)
        if piece.function is not None and piece.function.arguments:
            known[1].append_args(piece.function.arguments)


def _fields(value: Any) -> Mapping[str, Any]:
    """Return all fields of a value, also those that the package's class does not define."""
    extra = getattr(value, "model_extra", None)
    return {**vars(value), **extra} if extra else vars(value)


def _add_block(kept: list[Json], block: dict[str, Json]) -> None:
    """Add a block, or what continues the last one: it has the same type and index, and that one has no signature."""
    last = kept[-1] if kept else {"signature": "none yet"}
    if last.get("signature") or any(last.get(name) != block.get(name) for name in ("type", "index")):
        kept.append(block)
        return
    for name, value in block.items():
        grows = name in ("thinking", "text", "summary", "data") and isinstance(value, str)
        last[name] = (last.get(name) or "") + value if grows else value


def _usage(usage: Any) -> dict[str, int]:
    return counts(
        input_tokens=attribute(usage, "prompt_tokens"),
        output_tokens=attribute(usage, "completion_tokens"),
        cached_input_tokens=attribute(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=attribute(usage, "completion_tokens_details", "reasoning_tokens"),
    )
