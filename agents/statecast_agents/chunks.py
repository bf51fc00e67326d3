"""Chunks: the message parts that an agent emits outside its state, for protocols that carry messages in parts.

They have the same shape in every protocol: a part opens, grows, may get a result, and closes. Some chunks concern the
whole message. `part` numbers the parts of a run from 0, in the order in which they opened.
Source: docs/protocol/messages.md, "Message parts".
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from .values import Json

__all__ = [
    "Annotations",
    "ArgsFinished",
    "Chunk",
    "Data",
    "DataPart",
    "Failure",
    "FilePart",
    "FinishReason",
    "MessageFinished",
    "Part",
    "PartFinished",
    "PartStarted",
    "ReasoningPart",
    "SourcePart",
    "StepFinished",
    "StepStarted",
    "TextDelta",
    "TextPart",
    "ToolCallPart",
    "ToolResult",
    "Usage",
]

FinishReason = Literal["stop", "length", "content-filter", "tool-calls", "error", "other", "unknown"]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """Base of chunks and parts, tagged with the names that Assistant Transport uses."""


class TextPart(_Wire, tag="text", frozen=True, kw_only=True):
    """Text of the answer."""

    parent_id: str | UnsetType = UNSET


class ReasoningPart(_Wire, tag="reasoning", frozen=True, kw_only=True):
    """Reasoning of the model."""

    unstable_summary: str | UnsetType = msgspec.field(name="unstable_summary", default=UNSET)
    parent_id: str | UnsetType = UNSET


class ToolCallPart(_Wire, tag="tool-call", frozen=True, kw_only=True):
    """A call of a tool; its arguments follow as text."""

    tool_call_id: str
    tool_name: str
    parent_id: str | UnsetType = UNSET


class SourcePart(_Wire, tag="source", frozen=True, kw_only=True):
    """A web page that the answer cites."""

    source_type: Literal["url"] = "url"
    id: str
    url: str
    title: str | UnsetType = UNSET
    parent_id: str | UnsetType = UNSET


class FilePart(_Wire, tag="file", frozen=True, kw_only=True):
    """A file; `data` is base64 or a URL."""

    data: str
    mime_type: str
    parent_id: str | UnsetType = UNSET


class DataPart(_Wire, tag="data", frozen=True, kw_only=True):
    """Application data with a name, as a part."""

    name: str
    data: Json
    parent_id: str | UnsetType = UNSET


Part = TextPart | ReasoningPart | ToolCallPart | SourcePart | FilePart | DataPart


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens that a model call read and wrote."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int | UnsetType = UNSET  #: of those written; UNSET: unknown
    cached_input_tokens: int | UnsetType = UNSET  #: of those read, from the provider's cache

    def __add__(self, other: Usage) -> Usage:
        """Return the tokens of both calls."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _sum(self.reasoning_tokens, other.reasoning_tokens),
            _sum(self.cached_input_tokens, other.cached_input_tokens),
        )


class PartStarted(_Wire, tag="part-start", frozen=True, kw_only=True):
    """The part with the number `part` opens."""

    part: int
    init: Part


class TextDelta(_Wire, tag="text-delta", frozen=True, kw_only=True):
    """Text is appended to a text, a reasoning, or a tool call's arguments."""

    part: int
    text: str


class ArgsFinished(_Wire, tag="tool-call-args-text-finish", frozen=True, kw_only=True):
    """A tool call's arguments are complete."""

    part: int


class ToolResult(_Wire, tag="result", frozen=True, kw_only=True):
    """A tool call gets its result."""

    part: int
    result: Json
    is_error: bool = False
    artifact: Json | UnsetType = UNSET
    model_content: list[Json] | UnsetType = UNSET
    messages: Json | UnsetType = UNSET


class PartFinished(_Wire, tag="part-finish", frozen=True, kw_only=True):
    """A part is complete."""

    part: int


class Annotations(_Wire, tag="annotations", frozen=True, kw_only=True):
    """Annotations of the message as a whole."""

    annotations: list[Json]


class Data(_Wire, tag="data", frozen=True, kw_only=True):
    """Application data outside the message."""

    data: list[Json]


class StepStarted(_Wire, tag="step-start", frozen=True, kw_only=True):
    """A model call begins."""

    message_id: str


class StepFinished(_Wire, tag="step-finish", frozen=True, kw_only=True):
    """A model call ended."""

    finish_reason: FinishReason
    usage: Usage
    is_continued: bool = False


class MessageFinished(_Wire, tag="message-finish", frozen=True, kw_only=True):
    """The message is complete."""

    finish_reason: FinishReason
    usage: Usage


class Failure(_Wire, tag="error", frozen=True, kw_only=True):
    """An error; `text` is for the user."""

    text: str
    code: str | UnsetType = UNSET
    severity: Literal["critical", "warning", "info"] | UnsetType = UNSET


Chunk = (
    PartStarted
    | TextDelta
    | ArgsFinished
    | ToolResult
    | PartFinished
    | Annotations
    | Data
    | StepStarted
    | StepFinished
    | MessageFinished
    | Failure
)


def _sum(one: int | UnsetType, other: int | UnsetType) -> int | UnsetType:
    """Return the sum of what is known."""
    if isinstance(one, UnsetType):
        return other
    return one if isinstance(other, UnsetType) else one + other
