"""Formats: how clients store messages in a history, and conversion to and from a state's messages.

A history keeps a message as its client wrote it, under the name of the form. Every form has two ways here: a message of
a state is written in it, for clients that read it; and what a client wrote becomes a message of a state, with what a
state can hold of it. Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from statecast.protocol.ai_sdk.request import read_ui_part
from statecast.protocol.errors import RequestError
from statecast.protocol.json_checks import decode
from statecast.protocol.lenient import holdable
from statecast_agents import Json

from . import parts as stored_parts

__all__ = ["FORMATS", "Format", "PageMessages", "read_message", "read_messages", "write_message"]


class Format(msgspec.Struct, frozen=True):
    """A format of messages. Ids are not part of the content."""

    write: Callable[[Mapping[str, Any]], dict[str, Json]]
    read: Callable[[Mapping[str, Any]], dict[str, Json] | None]


def write_message(message: Json, format: str) -> dict[str, Json]:  # the field's name
    """Convert a message of a state to a client's format.

    Raises:
        KeyError: There is no such form.
    """
    return FORMATS[format].write(message if isinstance(message, dict) else {})


class PageMessages(msgspec.Struct):
    """The messages of a page; left out where the server has them."""

    messages: list[dict[str, Any]] | None = None


def read_messages(data: bytes) -> list[dict[str, Json]] | None:
    """Read a body whose `messages` are those of a page, in the form `aui/v0`, as a state's; None if it has none.

    Raises:
        RequestError: `invalid_request`, naming what is wrong.
    """
    given: PageMessages = decode(data, PageMessages)
    read = (read_message(message, "aui/v0", f"message-{at}") for at, message in enumerate(given.messages or []))
    return [message for message in read if message is not None] or None


def read_message(content: Mapping[str, Json], format: str, id: str) -> dict[str, Json] | None:  # the fields' names
    """Convert a client's message to a message of a state, without the parts that a state cannot hold.

    None: the form is unknown, or it is no message of the user or the assistant.
    """
    form = FORMATS.get(format)
    if form is None or not isinstance(content, Mapping):
        return None
    message = form.read(holdable(dict(content)))
    return None if message is None else holdable({"id": id, **message})


def _list(value: Json) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dict(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# Messages of assistant-ui

#: What its own metadata of a message is made of, by role; the rest is the application's.
_METADATA: Final[Mapping[str, Mapping[str, type]]] = {
    "assistant": {
        "unstable_state": object,
        "unstable_annotations": list,
        "unstable_data": list,
        "steps": list,
        "timing": dict,
        "submittedFeedback": dict,
        "modality": str,
    },
    "user": {"modality": str},
    "system": {},
}


def _empty(role: str) -> dict[str, Json]:
    """Return the metadata of a message that has none."""
    own: dict[str, Json] = {"unstable_state": None, "unstable_annotations": [], "unstable_data": [], "steps": []}
    return {**(own if role == "assistant" else {}), "custom": {}}


#: Why its messages can be incomplete.
_REASONS: Final = ("cancelled", "tool-calls", "length", "content-filter", "other", "error")


def _write_aui(message: Mapping[str, Any]) -> dict[str, Json]:
    given = message.get("role")
    role = given if given in ("user", "system") else "assistant"
    parts = [made for part in _list(message.get("parts")) if (made := stored_parts.for_assistant_ui(part, role))]
    if role == "system":
        parts = [{"type": "text", "text": "".join(part["text"] for part in parts)}]
    written: dict[str, Json] = {"role": role, "content": parts, "metadata": _write_metadata(message, role)}
    if role == "assistant" and (status := _status(message.get("status"), parts)) is not None:
        written["status"] = status
    if role == "user" and (attachments := stored_parts.attachments(message.get("attachments"))):
        written["attachments"] = attachments
    return written


def _write_metadata(message: Mapping[str, Any], role: str) -> dict[str, Json]:
    given = {key: value for key, value in _dict(message.get("metadata")).items() if key != "isOptimistic"}
    kinds = _METADATA[role]
    known = {key: value for key, value in given.items() if key in kinds and isinstance(value, kinds[key])}
    if "steps" in known:
        known["steps"] = _list(known["steps"])
    others = {key: value for key, value in given.items() if key not in known and key != "custom"}
    return {**_empty(role), **known, "custom": {**others, **_dict(given.get("custom"))}}


def _status(status: Json, parts: list[dict[str, Any]]) -> dict[str, Json] | None:
    """Return the status of an assistant's message: incomplete, requires action, or its own."""
    match status:
        case {"type": "running"}:
            return {"type": "incomplete", "reason": "cancelled"}
        case {"type": "incomplete"}:
            reason = status.get("reason")
            error = {"error": status["error"]} if "error" in status else {}
            return {"type": "incomplete", "reason": reason if reason in _REASONS else "other", **error}
    awaited = [part for part in parts if part["type"] == "tool-call" and "result" not in part]
    if awaited:
        asks = any(part.get("interrupt") or _is_asking(part.get("approval")) for part in awaited)
        return {"type": "requires-action", "reason": "interrupt" if asks else "tool-calls"}
    match status:
        case {"type": "complete", "reason": "stop" | "unknown" as reason}:
            return {"type": "complete", "reason": reason}
    return None


def _is_asking(approval: Json) -> bool:
    return isinstance(approval, dict) and "approved" not in approval and "resolution" not in approval


def _read_aui(content: Mapping[str, Any]) -> dict[str, Json] | None:
    role, given = content.get("role"), content.get("content")
    if isinstance(given, str):
        given = [{"type": "text", "text": given}]
    if role not in ("user", "assistant") or not isinstance(given, list):
        return None
    if role == "user":
        for attachment in stored_parts.attachments(content.get("attachments")):
            given = [*given, *attachment["content"]]
    parts = [made for part in _list(given) if (made := stored_parts.from_assistant_ui(part, role)) is not None]
    read: dict[str, Json] = {"role": role, "parts": parts}
    original, empty = _dict(content.get("metadata")), {**_empty("assistant"), "isOptimistic": True}
    if metadata := {key: value for key, value in original.items() if key not in empty or value != empty[key]}:
        read["metadata"] = metadata
    status = content.get("status")
    if role == "assistant" and isinstance(status, dict) and status.get("type") in ("incomplete", "running"):
        read["status"] = _status(status, [])
    return read


# Messages of the AI SDK


def _write_ui(message: Mapping[str, Any]) -> dict[str, Json]:
    role = message.get("role")
    parts = [made for part in _list(message.get("parts")) if (made := stored_parts.for_ai_sdk(part)) is not None]
    written: dict[str, Json] = {}
    if isinstance(message.get("metadata"), dict):
        written["metadata"] = message["metadata"]
    if role in ("user", "system"):
        return {"role": role, "parts": parts or [{"type": "text", "text": ""}], **written}  # none is refused
    return {"role": "assistant", "parts": [{"type": "step-start"}, *parts], **written}


def _read_ui(content: Mapping[str, Any]) -> dict[str, Json] | None:
    role, given = content.get("role"), content.get("parts")
    if role not in ("user", "assistant") or not isinstance(given, list):
        return None
    parts: list[dict[str, Json]] = []
    for part in _list(given):
        try:
            read = stored_parts.document_source(part) or read_ui_part(part, "parts") or {}
        except RequestError:
            continue
        if (made := stored_parts.from_assistant_ui(read, "assistant")) is not None:
            parts.append(made)
    metadata = content.get("metadata")
    return {"role": role, "parts": parts, **({"metadata": metadata} if isinstance(metadata, dict) else {})}


#: By the name under which a client writes and asks for it.
FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "aui/v0": Format(_write_aui, _read_aui),
        "ai-sdk/v6": Format(_write_ui, _read_ui),
        "ai-sdk/v5": Format(_write_ui, _read_ui),  # the same, as its older integration calls it
    }
)
