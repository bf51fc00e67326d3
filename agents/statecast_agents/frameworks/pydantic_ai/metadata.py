"""Record the tokens, the model and the finish reason of an agent's responses in the message that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET
from pydantic_ai.messages import ModelMessage, ModelResponse, UserPromptPart

from statecast_agents.chunks import FinishReason, Usage
from statecast_agents.message import AssistantMessage

__all__ = ["record_responses"]

_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_call": "tool-calls",
    "error": "error",
}


def record_responses(message: AssistantMessage, history: Sequence[ModelMessage]) -> None:
    """Record in a message the responses to the last prompt.

    Args:
        message: The message that shows them.
        history: All messages of the agent.
    """
    responses = _since_prompt(history)
    if not responses:
        return
    last = responses[-1]
    message.set_metadata(
        steps=[_usage(response) for response in responses],
        model=last.model_name,
        finish_reason=_REASONS.get(last.finish_reason or ""),
    )


def _since_prompt(history: Sequence[ModelMessage]) -> list[ModelResponse]:
    found: list[ModelResponse] = []
    for one in reversed(history):
        if isinstance(one, ModelResponse):
            found.append(one)
        elif any(isinstance(part, UserPromptPart) for part in one.parts):
            break
    return found[::-1]


def _usage(response: ModelResponse) -> Usage:
    usage = response.usage
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.output_reasoning_tokens or UNSET,
        usage.cache_read_tokens or UNSET,
    )
