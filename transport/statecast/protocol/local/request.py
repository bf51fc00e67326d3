"""Requests of hand-written adapters for assistant-ui's local runtime: its messages, or the last of them.

A message is `{role, content}`, with the text or the parts of assistant-ui as content; images may also be OpenAI's.
Source: docs/protocol/text-sse-json.md, "POST /text".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from statecast.protocol.errors import RequestError, ThreadIdRequired
from statecast.protocol.fields import fields_of, unexpected
from statecast.protocol.json_checks import decode
from statecast.protocol.lenient import read_past, readable
from statecast.protocol.messages.conversation import Conversation, PostedMessage, check_last
from statecast_agents import CallSettings, Config, Json, Request

__all__ = ["LocalBody", "read_local"]


class LocalToolResult(msgspec.Struct, kw_only=True, rename="camel"):
    """The result of a tool that ran in the page."""

    tool_call_id: str
    tool_name: str = ""
    result: Json = None
    is_error: bool = False


class LocalBody(msgspec.Struct, kw_only=True, rename="camel"):
    """The messages of a local runtime, and what they come with."""

    messages: list[Any]
    thread_id: str | None = None
    tool_results: list[LocalToolResult] | None = None
    system: str | None = None
    tools: dict[str, Any] | None = None
    call_settings: CallSettings | None = None
    config: Config | None = None
    truncate: bool = False
    agent: str | None = None


#: What an assistant's messages have whatever an adapter makes of an answer.
_CARRIED: Final = ("text", "tool-call")

_READ: Final = {*fields_of(LocalBody)}


def read_local(data: bytes) -> Conversation:
    """Read a request's body.

    Raises:
        RequestError: `invalid_request`, naming what is wrong, or `thread_id_required`.
    """
    body: LocalBody = decode(data, LocalBody)
    fields: dict[str, Any] = decode(data, dict[str, Any])
    instructions: list[str] = [] if body.system is None else [body.system]
    messages: list[PostedMessage] = []

    def read(message: dict[str, Any], where: str) -> None:
        parts, problem = _parts(message, where)
        match message.get("role"):
            case "system":
                instructions.append("".join(part["text"] for part in parts if part["type"] == "text"))
            case "user" | "assistant" as role:
                messages.append(_posted(message, role, parts, problem))
            case other:
                raise unexpected(where, 'the role "system", "user" or "assistant"', other)

    read_past(body.messages, read)
    if not body.tool_results:
        check_last(messages)
    if messages and messages[-1].role == "assistant" and not messages[-1].parts:
        del messages[-1]  # the one that is to be written
    if body.tool_results:
        if body.thread_id is None:
            problem = "expected a threadId with toolResults: without it, there is no call that they could be of"
            raise ThreadIdRequired(problem)
        messages.append(PostedMessage(role="assistant", parts=[_result_part(result) for result in body.tool_results]))
    only_reads = not messages and body.thread_id is not None and not body.truncate
    if not only_reads and (not messages or not _asks(messages[-1])):
        expected = "messages that end with one of the user, or with results of tools"
        last = body.messages[-1] if body.messages else []
        raise unexpected("messages", expected, last.get("role") if isinstance(last, dict) else last)
    request = Request(
        system="\n\n".join(filter(None, instructions)) or None,
        tools=body.tools or {},
        call_settings=body.call_settings or CallSettings(),
        config=body.config or Config(),
        extra={name: value for name, value in fields.items() if name not in _READ},
    )
    return Conversation(
        messages=messages,
        thread_id=body.thread_id,
        request=request,
        means="cut" if body.truncate else "either",
        carries=() if body.tool_results else _CARRIED,
        agent=body.agent,
    )


def _asks(message: PostedMessage) -> bool:
    """Whether a message may be the last one."""
    return message.role == "user" or any("result" in part for part in message.parts)


def _posted(
    message: Mapping[str, Any], role: Any, parts: list[dict[str, Any]], problem: RequestError | None
) -> PostedMessage:
    id = message.get("id")
    return PostedMessage(role=role, parts=parts, id=id if isinstance(id, str) and id else None, problem=problem)


def _parts(message: Mapping[str, Any], where: str) -> tuple[list[dict[str, Any]], RequestError | None]:
    """Return the parts that can be read, those of attachments included, and why the first of the others cannot."""
    content: Any = message.get("content")
    attachments = message.get("attachments")
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(given, list):
        raise unexpected(f"{where}.content", "a string, or an array of parts", content)
    for attachment in attachments if isinstance(attachments, list) else ():
        attached = attachment.get("content") if isinstance(attachment, dict) else None
        given = [*given, *(attached if isinstance(attached, list) else ())]
    return readable(enumerate(given), lambda item: _part(item[1], f"{where}.content[{item[0]}]"))


#: What a part of a type must have, as a string.
_TEXTS: Final = {
    "text": ("text",),
    "reasoning": ("text",),
    "image": ("image",),
    "file": ("data", "mimeType"),
    "tool-call": ("toolCallId", "toolName"),
}


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise unexpected(where, "a part with a type", part)
    if kind == "image_url":
        image = part.get("image_url")
        part = {"type": "image", "image": image.get("url") if isinstance(image, dict) else None}
    for name in _TEXTS.get(part["type"], ()):
        if not isinstance(part.get(name), str):
            raise unexpected(f"{where}.{name}", "a string", part.get(name))
    if kind == "tool-call":
        args = part.get("args") if isinstance(part.get("args"), dict) else {}
        text = part.get("argsText")
        part = {**part, "args": args, "argsText": text if isinstance(text, str) else _text_of(args)}
    return dict(part)


def _text_of(args: Json) -> str:
    return msgspec.json.encode(args).decode()


def _result_part(answer: LocalToolResult) -> dict[str, Any]:
    named = {"toolCallId": answer.tool_call_id, "toolName": answer.tool_name}
    return {"type": "tool-call", **named, "result": answer.result, "isError": answer.is_error}
