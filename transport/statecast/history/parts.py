"""Parts of stored messages: conversion of message parts to and from assistant-ui's and the AI SDK's formats.

The parts of a state are assistant-ui's, but for the arguments of tool calls: a state has them as a value and as text,
assistant-ui stores one of them. Its decoder drops what it cannot read, or the whole message with it, so that nothing
else may be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.messages.approvals import APPROVAL, answer_of, is_answered
from statecast.protocol.messages.sent import error_text, file_url
from statecast_agents import Json, chunks

__all__ = ["attachments", "document_source", "for_ai_sdk", "for_assistant_ui", "from_assistant_ui"]

#: The types of parts that assistant-ui reads, by role.
_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "user": frozenset({"text", "image", "file", "data", "audio"}),
    "assistant": frozenset({"text", "reasoning", "tool-call", "source", "file", "image", "data", "generative-ui"}),
    "system": frozenset({"text"}),
}

#: What else it reads of a message within a tool call.
_MESSAGE_FIELDS: Final[Mapping[str, Sequence[tuple[str, type]]]] = {
    "user": [("id", str), ("metadata", dict)],
    "assistant": [("id", str), ("metadata", dict), ("status", dict)],
}

#: The media types of its audio.
_AUDIO: Final = {"mp3": "audio/mpeg", "wav": "audio/wav"}


# assistant-ui


def for_assistant_ui(part: dict[str, Any], role: str) -> dict[str, Json] | None:
    """Convert a part of a state to assistant-ui's format; None if messages of that role have no such part."""
    made = _checked(part, role)
    if made is None or made["type"] != "tool-call":
        return made
    if "result" in made and made.get("isError") is not True:
        made.pop("isError", None)
    return _with_stored_args(made)


def from_assistant_ui(part: dict[str, Any], role: str) -> dict[str, Json] | None:
    """Convert a part in assistant-ui's format to a part of a state; None if it is not one."""
    made = _checked(part, role)
    if made is None or made["type"] != "tool-call":
        return made
    args, text = made.get("args"), made.get("argsText")
    if text is None:
        text = _text_of(args)
    elif args is None:
        args = _args_of(text)
    made |= {"args": args, "argsText": text}
    if "result" in made:
        made["isError"] = made.get("isError") is True
    return made


def attachments(given: Json) -> list[dict[str, Any]]:
    """Return the attachments of a message that assistant-ui reads, with those of their parts that it reads."""
    found: list[dict[str, Any]] = []
    for attachment in given if isinstance(given, list) else ():
        match attachment:
            case {"id": str(), "type": str(), "name": str(), "status": {"type": "complete"}, "content": list(content)}:
                parts = [made for part in content if isinstance(part, dict) and (made := _checked(part, "user"))]
                found.append({**attachment, "content": parts})
    return found


def _checked(part: dict[str, Any], role: str) -> dict[str, Any] | None:
    """Return a copy of a part that both assistant-ui and a state accept."""
    kind = part.get("type")
    if not isinstance(kind, str):
        return None
    if kind.startswith("data-"):
        part = {"type": "data", "name": kind.removeprefix("data-"), "data": part.get("data")}
    elif kind == "audio" and role == "assistant" and _is_audio(part):
        audio = part["audio"]
        part = {"type": "file", "data": audio["data"], "mimeType": _AUDIO.get(audio["format"], "audio/mpeg")}
    elif kind == "source" and isinstance(part.get("url"), str):
        part = {"sourceType": "url", **part, "id": part.get("id") or part["url"]}
    elif kind == "file" and "mimeType" not in part:
        part = {**part, "mimeType": "application/octet-stream"}
    elif kind == "data" and "data" not in part:
        part = {**part, "data": None}
    check = _CHECKS.get(part["type"])
    if check is None or part["type"] not in _TYPES[role] or not check(part):
        return None
    made = dict(part)
    if isinstance(made.get("messages"), list) and kind == "tool-call":
        made["messages"] = _nested(made["messages"])
    else:
        made.pop("messages", None)
    return made


def _nested(messages: list[Any]) -> list[dict[str, Any]]:
    """Return the messages within a tool call, which have assistant-ui's format in a state too."""
    found: list[dict[str, Any]] = []
    for message in messages:
        match message:
            case {"role": "user" | "assistant" as role, "content": list(content)}:
                checked = [made for part in content if isinstance(part, dict) and (made := _checked(part, role))]
                fields = {
                    name: message[name] for name, kind in _MESSAGE_FIELDS[role] if isinstance(message.get(name), kind)
                }
                if role == "user" and "metadata" in fields:
                    fields["metadata"] = {key: value for key, value in fields["metadata"].items() if key != "steps"}
                found.append({"role": role, "content": checked, **fields})
    return found


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda part: all(isinstance(part.get(name), str) for name in names)


def _is_audio(part: Mapping[str, Any]) -> bool:
    audio = part.get("audio")
    return isinstance(audio, dict) and isinstance(audio.get("data"), str) and isinstance(audio.get("format"), str)


def _is_source(part: Mapping[str, Any]) -> bool:
    needed = {"url": ("id", "url"), "document": ("id", "title", "mediaType")}.get(str(part.get("sourceType")))
    return needed is not None and _has(*needed)(part)


def _is_reasoning(part: Mapping[str, Any]) -> bool:
    texts = [part[name] for name in ("text", "unstable_summary") if name in part]
    return bool(texts) and all(isinstance(text, str) for text in texts)


def _is_call(part: Mapping[str, Any]) -> bool:
    text = part.get("argsText")
    return _has("toolCallId", "toolName")(part) and (isinstance(text, str) or (text is None and "args" in part))


#: What the clients read of a type; the rest they refuse.
_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "text": _has("text"),
    "reasoning": _is_reasoning,
    "image": _has("image"),
    "file": _has("data", "mimeType"),
    "audio": _is_audio,
    "data": _has("name"),
    "source": _is_source,
    "generative-ui": lambda part: isinstance(part.get("spec"), dict),
    "tool-call": _is_call,
}


# Arguments of tool calls


def _with_stored_args(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call with its arguments as assistant-ui stores them: only the value, if the text is the value's JSON."""
    args, text = call.pop("args", None), call.pop("argsText", None)
    if text is None or (isinstance(args, dict) and text == _text_of(args)):
        return {**call, **({"args": args} if isinstance(args, dict) else {"argsText": _text_of(args)})}
    if isinstance(args, dict) and args and _args_of(text) != args:
        return {**call, "args": args, "argsText": text}
    return {**call, "argsText": text}


def _text_of(args: Json) -> str:
    return msgspec.json.encode(args).decode()


def _args_of(text: str) -> Json:
    try:
        args = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return args if isinstance(args, dict) else {}


# The AI SDK


def for_ai_sdk(part: dict[str, Any]) -> dict[str, Json] | None:
    """Convert a part of a state to the AI SDK's format; None if it has no such part."""
    made = _checked(part, "assistant")
    if made is None:
        return None
    named = {"filename": made["filename"]} if isinstance(made.get("filename"), str) else {}
    match made["type"]:
        case "text" | "reasoning" as kind:
            text = made.get("text", made.get("unstable_summary"))
            return {"type": kind, "text": text}
        case "image":
            image = made["image"]
            return {"type": "file", "url": image, "mediaType": _image_type(image), **named}
        case "file":
            data, media = made["data"], made["mimeType"]
            return {"type": "file", "url": file_url(data, media), "mediaType": media, **named}
        case "data":
            id = {"id": made["id"]} if isinstance(made.get("id"), str) else {}
            return {"type": f"data-{made['name']}", "data": made["data"], **id}
        case "source" if made["sourceType"] == "url":
            title = {"title": made["title"]} if isinstance(made.get("title"), str) else {}
            return {"type": "source-url", "sourceId": made["id"], "url": made["url"], **title}
        case "source":
            described = {"mediaType": made["mediaType"], "title": made["title"]}
            return {"type": "source-document", "sourceId": made["id"], **described, **named}
        case "tool-call":
            return _ui_call(made)
        case _:
            return None


def document_source(part: dict[str, Any]) -> dict[str, Json] | None:
    """Convert the AI SDK's source document to a part of a state; None for another part."""
    match part:
        case {"type": "source-document", "sourceId": str(id), "title": str(title), "mediaType": str(media)}:
            named = {"filename": part["filename"]} if isinstance(part.get("filename"), str) else {}
            return {"type": "source", "sourceType": "document", "id": id, "title": title, "mediaType": media, **named}
    return None


def _ui_call(call: dict[str, Any]) -> dict[str, Json]:
    """Return a tool call as the stream sends it, marked so that no client sends the agent's results again."""
    id, args, text = call["toolCallId"], call.get("args"), call.get("argsText")
    head = {"type": f"tool-{call['toolName']}", "toolCallId": id}
    given = {"input": _args_of(text or "") if args is None else args}
    asked = call.get("approval")
    if isinstance(asked, dict) and isinstance(asked.get("id"), str) and "display" not in asked:
        return _gated(call, {**head, **given}, asked)
    if "result" not in call:
        if call["toolName"] == APPROVAL:
            return {**head, "state": "approval-requested", **given, "approval": {"id": id}}
        open_text = bool(text) and not args and not _is_json(str(text))
        return {**head, "state": "input-streaming" if open_text else "input-available", **given}
    result, failed = call["result"], call.get("isError") is True
    executed = {"providerExecuted": True}
    answered: dict[str, Json] = {}
    if call["toolName"] == APPROVAL:
        approved, why = answer_of(chunks.ToolResult(part=0, result=result, is_error=failed))
        answered = {"approval": {"id": id, "approved": approved, **why}}
        if not approved:
            return {**head, "state": "output-denied", **given, **answered}
    if failed:
        return {**head, "state": "output-error", **given, "errorText": error_text(result), **executed, **answered}
    return {**head, "state": "output-available", **given, "output": result, **executed, **answered}


def _gated(call: Mapping[str, Any], head: dict[str, Json], asked: Mapping[str, Json]) -> dict[str, Json]:
    """Return a call that the user is asked about, or was."""
    approval: dict[str, Json] = {"id": asked["id"]}
    if not is_answered(asked):
        why = {"requestReason": asked["prompt"]} if isinstance(asked.get("prompt"), str) else {}
        return {**head, "state": "approval-requested", "approval": approval | why}
    approval["approved"] = asked.get("approved") is True
    if isinstance(asked.get("reason"), str):
        approval["reason"] = asked["reason"]
    head["approval"] = approval
    if not approval["approved"]:
        return {**head, "state": "output-denied"}
    if "result" not in call:
        return {**head, "state": "approval-responded"}
    if call.get("isError") is True:
        return {**head, "state": "output-error", "errorText": error_text(call["result"]), "providerExecuted": True}
    return {**head, "state": "output-available", "output": call["result"], "providerExecuted": True}


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _image_type(image: str) -> str:
    return image[5:].partition(";")[0] if image.startswith("data:") else "image/png"
