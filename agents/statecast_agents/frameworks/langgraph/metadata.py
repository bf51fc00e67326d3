"""Convert a model's report about an answer to the metadata of its message, in assistant-ui's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage

from statecast_agents.chunks import FinishReason
from statecast_agents.values import Json

__all__ = ["metadata_of"]

#: Why a model ended an answer, by the words of the providers, in lower case; any other word is "other".
REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "completed": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool-calls",
    "tool_use": "tool-calls",
    "function_call": "tool-calls",
    "content_filter": "content-filter",
    "refusal": "content-filter",
    "safety": "content-filter",
}


def metadata_of(message: AIMessage) -> dict[str, Json]:
    """Return the metadata of a message: its tokens, model, agent, and why it ended, as far as it has them."""
    report = message.response_metadata
    custom: dict[str, Json] = {}
    model = report.get("model_name") or report.get("model")
    if isinstance(model, str):
        custom["modelId"] = model
    if message.name:
        custom["agent"] = message.name
    reason = next((report[key] for key in ("finish_reason", "stop_reason", "status") if report.get(key)), None)
    if isinstance(reason, str):
        custom["finishReason"] = REASONS.get(reason.lower(), "other")
    steps = [] if message.usage_metadata is None else [{"usage": _usage(message.usage_metadata)}]
    return ({"steps": steps} if steps else {}) | ({"custom": custom} if custom else {})


def _usage(usage: Mapping[str, Any]) -> dict[str, Json]:
    written, read = usage.get("output_token_details") or {}, usage.get("input_token_details") or {}
    tokens = {
        "inputTokens": usage["input_tokens"],
        "outputTokens": usage["output_tokens"],
        "reasoningTokens": written.get("reasoning"),
        "cachedInputTokens": read.get("cache_read"),
    }
    return {name: count for name, count in tokens.items() if count is not None}
