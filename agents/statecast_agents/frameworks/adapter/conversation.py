"""The thread's messages as rounds of a conversation with a model, independent of a provider's format.

An assistant message consists of one or more rounds: text, then tool calls with their results, then text again. Every
call gets a result, because providers reject a call without one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from statecast_agents.calls import CUT_OFF
from statecast_agents.message import Message, ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json, plain_copy

from .answer import Form, memory_name

__all__ = [
    "STOPPED",
    "Call",
    "File",
    "Round",
    "arguments_of",
    "calls_of",
    "denied",
    "files",
    "kept",
    "result_text",
    "rounds",
]

#: What a model reads as the result of a call that has none.
UNANSWERED: Final = "The user did not answer this call."
STOPPED: Final = "This call was stopped before it had a result."

_DATA_URL: Final = re.compile(r"data:([^;,]*)[^,]*?(;base64)?,(.*)", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """A call and its result."""

    id: str
    name: str
    args: dict[str, Json]
    result: str
    is_error: bool


@dataclass
class Round:
    """What the assistant says before it reads results: reasoning, texts, calls."""

    reasoning: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The texts, joined by line ends."""
        return "\n".join(self.texts)


@dataclass(frozen=True)
class File:
    """A file or an image of the user: its content as base64, or a URL."""

    mime_type: str
    name: str | None
    data: str | None  #: base64; None if there is a URL
    url: str  #: a data URL if there is `data`

    @property
    def text(self) -> str | None:
        """The content of a text file; None for any other, and for one that is not here."""
        if self.data is None or not (self.mime_type.startswith("text/") or self.mime_type == "application/json"):
            return None
        try:
            return base64.b64decode(self.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None


def files(message: Message) -> Iterator[str | File]:
    """Yield the parts of a message of the user: texts, and images and files. Other parts are left out."""
    for part in message.parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and _text(part).strip():  # providers refuse empty texts
            yield _text(part)
        elif kind == "image":
            yield _file(part, "image", "image/*")
        elif kind == "file":
            yield _file(part, "data", "application/octet-stream")


def rounds(message: Message, first: int = 0) -> list[Round]:
    """Return a message of the assistant as rounds; a text after a call begins another.

    Args:
        message: The message.
        first: How many parts to skip.
    """
    found: list[Round] = []
    for part in message.parts[first:]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "reasoning") and _text(part):
            if not found or found[-1].calls:
                found.append(Round())
            (found[-1].texts if kind == "text" else found[-1].reasoning).append(_text(part))
        elif kind == "tool-call":
            call = _call(ToolCall(part))
            if call is not None:
                found = found or [Round()]
                found[-1].calls.append(call)
    return [one for one in found if one.texts or one.calls]


def calls_of(message: Message) -> dict[str, Call]:
    """Return the calls of a message, with their results, by their ids."""
    return {call.id: call for one in rounds(message) for call in one.calls}


def kept(run: Run, message: Message, form: Form) -> tuple[int, Json]:
    """Return what the provider wants back for an answer, and how many of the message's first parts it stands for.

    Args:
        run: The run whose memory holds it.
        message: The message.
        form: The API that it is sent to.
    """
    found = run.memory.get(memory_name(message.id))
    if found is None or found["form"] != form or found["parts"] > len(message.parts):
        return 0, None
    return found["parts"], found["items"]


def _call(call: ToolCall) -> Call | None:
    """Return a call and its result; None if it was stopped before its arguments were complete."""
    args = arguments_of(call)
    if args is None and not call.settled:
        return None
    if not call.settled:
        result = STOPPED if CUT_OFF in call.part else UNANSWERED
        return Call(call.id, call.name, args or {}, result, True)
    return Call(call.id, call.name, args or {}, result_text(call), call.part.get("isError") is True)


def arguments_of(call: ToolCall) -> dict[str, Json] | None:
    """Return the arguments that the model wrote; None if they are not complete."""
    try:
        args = msgspec.json.decode(call.args_text) if call.args_text else plain_copy(call.args)
    except (msgspec.DecodeError, RecursionError):
        return None
    return args if isinstance(args, dict) else None


def result_text(call: ToolCall) -> str:
    """Return what the model reads as the result: the call's `modelContent` where there is some, else its result."""
    content = call.part.get("modelContent")
    if isinstance(content, list):
        texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "\n".join(texts)
    return call.result if isinstance(call.result, str) else msgspec.json.encode(plain_copy(call.result)).decode()


def denied(answer: Mapping[str, Json]) -> str:
    """Return what the model reads as the result of a call that the user did not approve."""
    reason = answer.get("reason") or answer.get("text")
    return f"The user denied this call: {reason}" if isinstance(reason, str) else "The user denied this call."


def _text(part: Mapping[str, Json]) -> str:
    """Return the text of a part; "" if it has none, as any state may say anything."""
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _file(part: dict[str, Json], field: str, default: str) -> File:
    value = str(part.get(field) or "")
    name = part.get("filename")
    name = name if isinstance(name, str) else None
    given = part.get("mimeType")
    mime_type = given if isinstance(given, str) and given else None
    split = _DATA_URL.fullmatch(value)
    if split is not None:
        mime_type = split[1] or mime_type or "text/plain"
        data = split[3] if split[2] else base64.b64encode(unquote_to_bytes(split[3])).decode()
        return File(mime_type, name, data, f"data:{mime_type};base64,{data}")
    if field == "image" or "://" in value:
        return File(mime_type or default, name, None, value)
    return File(mime_type or default, name, value, f"data:{mime_type or default};base64,{value}")
