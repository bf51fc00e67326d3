"""Requests of `/chat`: the AI SDK posts its own messages, assistant-ui's data-stream runtime a model's messages.

Both are told apart by a message's form: the AI SDK's has `parts`, a model's has `content`. The latter has no ids,
unless the page asks for them, but the request has that of the user's last message as its `parentId`.
Source: docs/protocol/chat.md, "POST /chat".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from statecast.protocol.errors import InvalidRequest, RequestError
from statecast.protocol.fields import fields_as, fields_of, string_at, unexpected
from statecast.protocol.json_checks import decode
from statecast.protocol.lenient import read_past, readable
from statecast.protocol.messages.approvals import APPROVAL
from statecast.protocol.messages.conversation import Conversation, PostedMessage, check_last
from statecast.protocol.messages.sent import file_url
from statecast_agents import CallSettings, Config, Json, Request
from statecast_agents.calls import DISMISSED

__all__ = ["ChatBody", "read_chat", "read_ui_part"]


class ChatBody(msgspec.Struct, kw_only=True, rename="camel"):
    """The messages of a chat: of the AI SDK, or of assistant-ui's data-stream runtime."""

    messages: list[Any]
    id: str | None = None
    thread_id: str | None = None
    trigger: Literal["submit-message", "regenerate-message"] | None = None
    message_id: str | None = None
    parent_id: str | None = None
    system: str | None = None
    tools: dict[str, Any] | None = None
    state: Json | msgspec.UnsetType = msgspec.UNSET
    agent: str | None = None
    truncate: bool = False


#: How the ids of threads begin that a page has made up for itself: no other page has them, so it has seen all there is.
LOCAL: Final = "__LOCALID_"

#: The result that the client gives a call which nobody has answered, for the model: the call is still open.
_PLACEHOLDER: Final = {"error": "Tool call was not completed"}

_READ: Final = {*fields_of(ChatBody), *fields_of(CallSettings), *fields_of(Config)}


def read_chat(data: bytes) -> Conversation:
    """Read a request's body.

    Raises:
        RequestError: `invalid_request`, naming what is wrong; `malformed_json`.
    """
    chat: ChatBody = decode(data, ChatBody)
    fields: dict[str, Any] = decode(data, dict[str, Any])
    request = Request(
        system=_system(chat),
        tools=chat.tools or {},
        call_settings=fields_as(CallSettings, fields),
        config=fields_as(Config, fields),
        parent_id=chat.parent_id,
        extra={name: value for name, value in fields.items() if name not in _READ},
    )
    conversation = _of_ui(chat) if _is_ui(chat) else _of_model(chat)
    if not conversation.messages:
        raise InvalidRequest("expected a message of the user or the assistant, got none")
    check_last(conversation.messages)
    return msgspec.structs.replace(conversation, request=request, state=chat.state, agent=chat.agent)


def _is_ui(chat: ChatBody) -> bool:
    if chat.id is not None or chat.trigger is not None:
        return True
    newest_first = (
        message for message in reversed(_dicts(chat.messages)) if "parts" in message or "content" in message
    )
    return "parts" in next(newest_first, {})


def _of_ui(chat: ChatBody) -> Conversation:
    edits = any(
        chat.message_id is not None and message.get("id") == chat.message_id and message.get("role") == "user"
        for message in _dicts(chat.messages)
    )
    messages: list[PostedMessage] = []

    def read(message: dict[str, Any], where: str) -> None:
        if message.get("role") != "system":
            messages.append(_from_ui(message, where))

    read_past(chat.messages, read)
    return Conversation(
        messages=messages,
        thread_id=chat.id if chat.thread_id is None else chat.thread_id,
        edited=chat.message_id if edits else None,
        means="again" if chat.trigger == "regenerate-message" else "say",
    )


def _of_model(chat: ChatBody) -> Conversation:
    read = _ModelMessages()
    read_past(chat.messages, read.add)
    messages = read.all()
    last = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if last is not None and messages[last].id is None:
        messages[last] = msgspec.structs.replace(messages[last], id=chat.parent_id)
    own = chat.thread_id is not None and chat.thread_id.startswith(LOCAL)
    return Conversation(
        messages=messages,
        thread_id=chat.thread_id,
        means="cut" if own or chat.truncate else "either",
        carries=("text", "tool-call"),
        keeps_state=False,  # each of its messages has the state of its own
        takes_ids=False,  # the page makes one
    )


def _system(chat: ChatBody) -> str | None:
    texts = [message.get("content") for message in _dicts(chat.messages) if message.get("role") == "system"]
    return chat.system or "\n\n".join(text for text in texts if isinstance(text, str)) or None


# Messages of the AI SDK


def _from_ui(message: Mapping[str, Any], where: str) -> PostedMessage:
    role, parts, id = message.get("role"), message.get("parts"), message.get("id")
    if role not in ("user", "assistant"):
        raise unexpected(where, 'the role "user" or "assistant"', role)
    if not isinstance(parts, list):
        raise unexpected(where, "an array of parts", parts)
    converted, problem = readable(parts, lambda part: read_ui_part(part, where))
    metadata = message.get("metadata")
    given = metadata if isinstance(metadata, dict) else msgspec.UNSET
    calls = {part["toolCallId"]: part for part in _dicts(parts) if isinstance(part.get("toolCallId"), str)}
    approvals_asked = {call: part["approval"] for call, part in calls.items() if isinstance(part.get("approval"), dict)}
    return PostedMessage(
        role=role,
        parts=converted,
        id=id if isinstance(id, str) else None,
        metadata=given,
        problem=problem,
        results_of_others={call for call, part in calls.items() if part.get("providerExecuted") is True},
        unconfirmed={call for call, part in calls.items() if part.get("state") == "approval-responded"},
        approvals={
            call: approval["id"]
            for call, approval in approvals_asked.items()
            if isinstance(approval.get("id"), str)
            and str(calls[call].get("state")).startswith("approval-")
            and _tool_of(calls[call]) == APPROVAL
        },
    )


def read_ui_part(part: Any, where: str) -> dict[str, Any] | None:
    """Return a part of the AI SDK's as a state has it; None if no state has such a part.

    Raises:
        RequestError: `invalid_request`, naming what is wrong.
    """
    if not isinstance(part, dict):
        raise unexpected(where, "an array of parts", part)
    kind = part.get("type")
    if not isinstance(kind, str):
        raise unexpected(where, "a part with a type", part)
    if kind in ("text", "reasoning"):
        return {"type": kind, "text": string_at(part.get("text"), where)}
    if kind == "file":
        return _file(string_at(part.get("url"), where), part.get("mediaType"), part.get("filename"))
    if kind == "source-url":
        title = {"title": part["title"]} if isinstance(part.get("title"), str) else {}
        return {"type": "source", "sourceType": "url", "id": part.get("sourceId"), "url": part.get("url"), **title}
    if kind.startswith("data-"):
        named = {"id": part["id"]} if isinstance(part.get("id"), str) else {}
        return {"type": "data", "name": kind.removeprefix("data-"), "data": part.get("data"), **named}
    if kind == "dynamic-tool" or kind.startswith("tool-"):
        return _ui_call(part, _tool_of(part), where)
    return None


def _tool_of(part: Mapping[str, Any]) -> str:
    """Return the name of the tool that a part is a call of."""
    kind = str(part.get("type"))
    return str(part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-"))


def _ui_call(part: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    args = part.get("input")
    call = _call(string_at(part.get("toolCallId"), where), name, {} if args is None else args)
    approval = part.get("approval")
    if name != APPROVAL and isinstance(approval, dict):
        fields = {key: approval[key] for key in ("id", "approved", "reason") if key in approval}
        call["approval"] = fields | ({"resolution": "cancelled"} if part.get("state") == "output-denied" else {})
    match part.get("state"):
        case "output-available":
            return {**call, "result": part.get("output"), "isError": False}
        case "output-error":
            return {**call, "result": part.get("errorText"), "isError": True}
        case "output-denied" if name != APPROVAL:
            return {**call, "result": DISMISSED, "isError": True}
        case "approval-responded" | "output-denied" if name == APPROVAL and isinstance(approval, dict):
            answer = {"approved": approval.get("approved") is True}
            why = {"reason": approval["reason"]} if isinstance(approval.get("reason"), str) else {}
            return {**call, "result": answer | why, "isError": False}
        case _:
            return call


# A model's messages


class _ModelMessages:
    """Reads messages one by one; what an assistant says and what its tools answer are one message."""

    def __init__(self) -> None:
        self._posted: list[PostedMessage] = []
        self._parts: list[dict[str, Any]] = []
        self._calls: dict[str, dict[str, Any]] = {}  #: the latest of each id, in the message that is being put together
        self._id: str | None = None
        self._problem: RequestError | None = None

    def all(self) -> list[PostedMessage]:
        """Return the messages."""
        self._close()
        return self._posted

    def add(self, message: dict[str, Any], where: str) -> None:
        """Read a message.

        Raises:
            RequestError: `invalid_request`.
        """
        role, content = message.get("role"), message.get("content")
        if role == "system":
            return
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if role not in ("user", "assistant", "tool"):
            raise unexpected(where, 'the role "system", "user", "assistant" or "tool"', role)
        if not isinstance(content, list):
            raise unexpected(where, "an array of parts as content", content)
        given = message.get("unstable_id")
        named = given if isinstance(given, str) else None
        if role == "tool":
            _, problem = readable(content, lambda part: _add_result(self._calls, part, where))
            self._problem = self._problem or problem
            if problem is not None and not self._parts:
                raise problem
            return
        parts, problem = readable(content, lambda part: _model_part(part, where))
        if role == "user":
            self._close()
            self._posted.append(PostedMessage(role="user", parts=parts, id=named, problem=problem))
            return
        self._calls |= {part["toolCallId"]: part for part in parts if part["type"] == "tool-call"}
        self._parts += parts
        self._id = self._id or named
        self._problem = self._problem or problem

    def _close(self) -> None:
        if self._parts or self._problem is not None:
            answer = PostedMessage(role="assistant", parts=self._parts, id=self._id, problem=self._problem)
            self._posted.append(answer)
        self._parts, self._calls, self._id, self._problem = [], {}, None, None


def _model_part(part: Any, where: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise unexpected(where, "an array of parts as content", part)
    match part.get("type"):
        case "text" | "reasoning" as kind:
            return {"type": kind, "text": string_at(part.get("text"), where)}
        case "file":
            return _file(string_at(part.get("data"), where), part.get("mediaType"), part.get("filename"))
        case "tool-call":
            id, name = string_at(part.get("toolCallId"), where), string_at(part.get("toolName"), where)
            return _call(id, name, part.get("input") or {})
        case other:
            raise unexpected(where, 'a part of the type "text", "file" or "tool-call"', other)


def _add_result(calls: Mapping[str, dict[str, Any]], answer: Any, where: str) -> None:
    output = answer.get("output") if isinstance(answer, dict) else None
    if not isinstance(output, dict) or answer.get("type") != "tool-result":
        raise unexpected(where, "a tool-result with an output", answer)
    value, failed = output.get("value"), str(output.get("type")).startswith("error")
    if failed and value == _PLACEHOLDER:
        return
    id = answer.get("toolCallId")
    if isinstance(id, str) and id in calls:
        calls[id] |= {"result": value, "isError": failed}


# Parts


def _dicts(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)]


def _call(id: str, name: str, args: Json) -> dict[str, Any]:
    text = msgspec.json.encode(args).decode()
    return {"type": "tool-call", "toolCallId": id, "toolName": name, "args": args, "argsText": text}


def _file(data: str, media_type: object, name: object) -> dict[str, Any]:
    named = {"filename": name} if isinstance(name, str) else {}
    kind = media_type if isinstance(media_type, str) else "application/octet-stream"
    if kind.startswith("image/"):
        return {"type": "image", "image": file_url(data, kind), **named}
    return {"type": "file", "data": data, "mimeType": kind, **named}
