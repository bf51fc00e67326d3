"""The chunks that `create_run` yields. Their names and fields are those of `assistant-stream`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import msgspec

__all__ = [
    "AnnotationsChunk",
    "AssistantStreamChunk",
    "DataChunk",
    "ErrorChunk",
    "FileChunk",
    "ObjectStreamAppendTextOperation",
    "ObjectStreamOperation",
    "ObjectStreamSetOperation",
    "ReasoningDeltaChunk",
    "SourceChunk",
    "StepFinishChunk",
    "StepStartChunk",
    "TextDeltaChunk",
    "ToolCallBeginChunk",
    "ToolCallDeltaChunk",
    "ToolResultChunk",
    "UpdateStateChunk",
]


@dataclass
class TextDeltaChunk:
    """Text of the answer."""

    text_delta: str
    type: str = "text-delta"
    parent_id: str | None = None


@dataclass
class ReasoningDeltaChunk:
    """Reasoning of the model."""

    reasoning_delta: str
    type: str = "reasoning-delta"
    parent_id: str | None = None


@dataclass
class ToolCallBeginChunk:
    """A tool call begins."""

    tool_call_id: str
    tool_name: str
    type: str = "tool-call-begin"
    parent_id: str | None = None


@dataclass
class ToolCallDeltaChunk:
    """A piece of a call's arguments, as JSON text."""

    tool_call_id: str
    args_text_delta: str
    type: str = "tool-call-delta"


@dataclass
class ToolResultChunk:
    """The result of a call."""

    tool_call_id: str
    result: Any
    artifact: Any | None = None
    is_error: bool = False
    type: str = "tool-result"


@dataclass
class DataChunk:
    """Data of the application."""

    data: Any
    type: str = "data"


@dataclass
class ErrorChunk:
    """An error, as a text for the user."""

    error: str
    type: str = "error"


class ObjectStreamSetOperation(TypedDict):
    """A value is put at a path."""

    path: list[str]
    value: Any
    type: Literal["set"]


class ObjectStreamAppendTextOperation(TypedDict):
    """A text is appended to the one at a path."""

    path: list[str]
    value: str
    type: Literal["append-text"]


ObjectStreamOperation = ObjectStreamSetOperation | ObjectStreamAppendTextOperation


class UpdateStateChunk:
    """The state changed.

    Args:
        operations: What changed it.
        encoded: The same as JSON, instead; it is decoded if somebody asks for the operations.
    """

    type: str = "update-state"

    def __init__(self, operations: Sequence[ObjectStreamOperation] = (), *, encoded: bytes = b"") -> None:
        self.encoded = encoded or msgspec.json.encode(operations)

    @property
    def operations(self) -> list[ObjectStreamOperation]:
        """What changed it."""
        operations: list[ObjectStreamOperation] = msgspec.json.decode(self.encoded)
        return operations

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UpdateStateChunk) and self.operations == other.operations

    __hash__ = None  # type: ignore[assignment]  # as of the other chunks

    def __repr__(self) -> str:
        return f"UpdateStateChunk(operations={self.operations!r})"


@dataclass
class SourceChunk:
    """A page that the answer cites."""

    id: str
    url: str
    source_type: str = "url"
    title: str | None = None
    type: str = "source"
    parent_id: str | None = None


@dataclass
class FileChunk:
    """A file: base64, or a URL."""

    data: str
    mime_type: str
    type: str = "file"
    parent_id: str | None = None


@dataclass
class AnnotationsChunk:
    """Annotations of the message."""

    annotations: list[Any]
    type: str = "annotations"


@dataclass
class StepStartChunk:
    """A model call begins."""

    message_id: str
    type: str = "step-start"


@dataclass
class StepFinishChunk:
    """A model call ended."""

    finish_reason: str
    input_tokens: int = 0
    output_tokens: int = 0
    is_continued: bool = False
    type: str = "step-finish"


AssistantStreamChunk = (
    TextDeltaChunk
    | ReasoningDeltaChunk
    | ToolCallBeginChunk
    | ToolCallDeltaChunk
    | ToolResultChunk
    | DataChunk
    | ErrorChunk
    | UpdateStateChunk
    | SourceChunk
    | FileChunk
    | AnnotationsChunk
    | StepStartChunk
    | StepFinishChunk
)
