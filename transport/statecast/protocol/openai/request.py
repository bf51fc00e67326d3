"""Requests of OpenAI's clients: a conversation, the client's tools, and the model's settings.

Source: docs/protocol/chat-completions.md, "POST /v1/chat/completions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from statecast.protocol.errors import RequestError, UnsupportedParameter
from statecast.protocol.fields import unexpected
from statecast.protocol.json_checks import decode
from statecast.protocol.json_values import read_value
from statecast.protocol.lenient import read_past, readable
from statecast.protocol.messages.conversation import Conversation, PostedMessage, check_last
from statecast.protocol.messages.wire import Exchange
from statecast_agents import CallSettings, Json, Request

__all__ = ["CompletionBody", "CompletionRequest", "read_completion"]


class CompletionRequest(Exchange, frozen=True, kw_only=True):
    """A request, read."""

    include_usage: bool

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that the client declared."""
        return frozenset(self.conversation.request.tools)


class StreamOptions(msgspec.Struct):
    """What a streamed answer holds beside the message."""

    include_usage: bool | None = None


class CompletionBody(msgspec.Struct, kw_only=True):
    """A chat completion to make. The agent gets all other fields as they are."""

    messages: list[Any]
    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = None
    metadata: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None


#: What an answer would have to have that it cannot, by the parameter that asks for it, with the values that do not.
_REFUSED: Final[dict[str, tuple[Json, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none",),
}

#: What an assistant's messages have that clients send back; some also send the reasoning.
_CARRIED: Final = ("text", "tool-call")

_READ: Final = {field.name for field in msgspec.structs.fields(CompletionBody)} - {"metadata"}


def read_completion(data: bytes, *, thread_id: str | None = None) -> CompletionRequest:
    """Read a request's body.

    Args:
        data: The body.
        thread_id: As the request names it outside of the body; it may also be among the body's `metadata`.

    Raises:
        RequestError: `invalid_request` or `unsupported_parameter`, whose `param` names what is wrong.
    """
    fields: dict[str, Any] = decode(data, dict[str, Any])
    for name, fine in _REFUSED.items():
        given = fields.get(name)
        if given is not None and not any(given == value and type(given) is type(value) for value in fine):
            message = f"expected no {name}, which this server does not support, got {given!r:.80}"
            raise UnsupportedParameter(message, param=name)
    body: CompletionBody = decode(data, CompletionBody)
    if thread_id is None and body.metadata is not None:
        thread_id = _text(body.metadata.get("thread_id") or None, "metadata.thread_id", None)
    system, messages = _messages(body.messages, is_claim=thread_id is not None)
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    request = Request(
        system=system,
        tools=_tools(body.tools or []) if fields.get("tool_choice") != "none" else {},
        call_settings=CallSettings(
            max_tokens=limit,
            temperature=body.temperature,
            top_p=body.top_p,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            seed=body.seed,
        ),
        extra={name: value for name, value in fields.items() if name not in _READ and name not in _REFUSED},
    )
    conversation = Conversation(
        messages=messages, thread_id=thread_id, request=request, carries=_CARRIED, agent=body.model
    )
    options = body.stream_options
    return CompletionRequest(
        conversation=conversation,
        delivery="stream" if body.stream is True else "whole",
        include_usage=options is not None and options.include_usage is True,
    )


def _tools(declared: list[dict[str, Any]]) -> dict[str, Json]:
    tools: dict[str, Json] = {}
    for index, tool in enumerate(declared):
        where = f"tools[{index}]"
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise _wrong(f"{where}.type", 'a tool of the type "function"', tool.get("type"))
        name = _text(function.get("name"), f"{where}.function.name")
        given = {key: function[key] for key in ("description", "parameters", "strict") if function.get(key) is not None}
        tools[name] = {"parameters": {"type": "object", "properties": {}}, **given}
    return tools


# Messages


def _messages(posted: list[Any], *, is_claim: bool) -> tuple[str | None, list[PostedMessage]]:
    """Return the instructions, and the messages; without a thread, all of them are what the answer is to."""
    read = _Messages()
    read_past(posted, read.add, is_claim=is_claim)
    messages = read.all()
    if not messages or (messages[-1].role == "assistant" and not read.answered):
        expected = "messages that end with one of the user, or with results of tools"
        last = posted[-1] if posted else posted
        raise _wrong("messages", expected, last.get("role") if isinstance(last, dict) else last)
    for message in messages[-1:] if is_claim else messages:
        check_last([message])
    return "\n\n".join(read.instructions) or None, messages


class _Messages:
    """Reads messages one by one; what an assistant says and what its tools answer are one message."""

    def __init__(self) -> None:
        self.instructions: list[str] = []
        self.answered = False  #: whether the last message is a tool's
        self._messages: list[PostedMessage] = []
        self._answer = _Answer()

    def all(self) -> list[PostedMessage]:
        """Return the messages."""
        return [*self._messages, *self._answer.message()]

    def add(self, message: dict[str, Any], where: str) -> None:
        """Read a message.

        Raises:
            RequestError: `invalid_request`.
        """
        role = message.get("role")
        match role:
            case "system" | "developer":
                parts, problem = _content(message, where)
                if problem is not None:
                    raise problem
                self.instructions.append("".join(part["text"] for part in parts))
            case "user":
                parts, problem = _content(message, where)
                self._messages = [*self.all(), PostedMessage(role="user", parts=parts, problem=problem)]
                self._answer = _Answer()
            case "assistant":
                self._answer.add_parts(*_assistant_parts(message, where))
            case "tool":
                self._answer.add_result(message, where)
            case _:
                raise _wrong(f"{where}.role", 'a role out of "system", "developer", "user", "assistant", "tool"', role)
        self.answered = role == "tool"


class _Answer:
    """An assistant's message, as it comes in pieces: its text, the results of its tools, and the text after them."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] | None = None  #: None: there is no assistant's message
        self._calls: dict[str, dict[str, Any]] = {}  #: the latest of each id
        self._resolved: set[str] = set()
        self._results_of_others: set[str] = set()  #: calls whose results the model has answered already
        self._problem: RequestError | None = None

    def message(self) -> list[PostedMessage]:
        """Return it, if there is one."""
        if self._parts is None:
            return []
        return [
            PostedMessage(
                role="assistant", parts=self._parts, results_of_others=self._results_of_others, problem=self._problem
            )
        ]

    def add_parts(self, parts: list[dict[str, Any]], problem: RequestError | None) -> None:
        """Add the parts of an assistant's message, and why some of it cannot be read."""
        self._problem = self._problem or problem
        self._results_of_others |= self._resolved
        self._resolved = set()
        self._calls |= {part["toolCallId"]: part for part in parts if part["type"] == "tool-call"}
        self._parts = [] if self._parts is None else self._parts
        self._parts += parts

    def add_result(self, answer: Mapping[str, Any], where: str) -> None:
        """Add a tool's answer.

        Raises:
            RequestError: `invalid_request`: nobody has called it.
        """
        id = _text(answer.get("tool_call_id"), f"{where}.tool_call_id")
        call = self._calls.get(id)
        if call is None:
            raise _wrong(f"{where}.tool_call_id", "the id of a call of the message before", id)
        parts, problem = _content(answer, where)
        if problem is not None:
            raise problem
        call |= {"result": read_value("".join(part["text"] for part in parts)), "isError": False}
        self._resolved.add(id)


def _assistant_parts(message: Mapping[str, Any], where: str) -> tuple[list[dict[str, Any]], RequestError | None]:
    """Return the readable parts of an assistant's message, and why the first of the others is not."""
    parts: list[dict[str, Any]] = []
    problem: RequestError | None = None
    if reasoning := _text(message.get("reasoning_content"), f"{where}.reasoning_content", None):
        parts.append({"type": "reasoning", "text": reasoning})
    if message.get("content") is not None:
        texts, problem = _content(message, where)
        parts += texts
    if refusal := _text(message.get("refusal"), f"{where}.refusal", None):
        parts.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise _wrong(f"{where}.tool_calls", "an array", calls)
    made, wrong = readable(enumerate(calls), lambda item: _call(item[1], f"{where}.tool_calls[{item[0]}]"))
    return parts + made, problem or wrong


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise _wrong(where, "a call of a function", call)
    text = _text(function.get("arguments"), f"{where}.function.arguments")
    args = read_value(text)
    return {
        "type": "tool-call",
        "toolCallId": _text(call.get("id"), f"{where}.id"),
        "toolName": _text(function.get("name"), f"{where}.function.name"),
        "args": args if isinstance(args, dict) else {},
        "argsText": text or "{}",
    }


def _content(message: Mapping[str, Any], where: str) -> tuple[list[dict[str, Any]], RequestError | None]:
    """Return the parts of a message's content that can be read, and why the first of the others cannot.

    Of all messages but the user's they are texts.
    """
    where = f"{where}.content"
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}], None
    if not isinstance(content, list):
        raise _wrong(where, "a string, or an array of parts", content)
    is_users = message.get("role") == "user"
    return readable(enumerate(content), lambda item: _part(item[1], f"{where}[{item[0]}]", is_users=is_users))


def _part(part: Any, where: str, *, is_users: bool) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise _wrong(where.rpartition("[")[0], "a string, or an array of parts", part)
    kind = part.get("type")
    given = part.get(str(kind))
    fields: dict[str, Any] = given if isinstance(given, dict) else {}
    match kind:
        case "text":
            return {"type": "text", "text": _text(given, f"{where}.text")}
        case "refusal" if not is_users:
            return {"type": "text", "text": _text(given, f"{where}.refusal")}
        case "image_url" if is_users:
            return {"type": "image", "image": _text(fields.get("url"), f"{where}.image_url.url")}
        case "input_audio" if is_users:
            data, form = _text(fields.get("data"), f"{where}.input_audio.data"), fields.get("format")
            return {"type": "file", "data": data, "mimeType": f"audio/{form if isinstance(form, str) else 'wav'}"}
        case "file" if is_users:
            data = _text(fields.get("file_data"), f"{where}.file.file_data")
            mime = data[5:].partition(";")[0] if data.startswith("data:") else "application/octet-stream"
            name = {"filename": fields["filename"]} if isinstance(fields.get("filename"), str) else {}
            return {"type": "file", "data": data, "mimeType": mime, **name}
        case _:
            raise _wrong(f"{where}.type", "a part that a message of this role may have", kind)


def _text(value: object, where: str, default: Any = msgspec.UNSET) -> Any:  # as `default`, else a string
    if value is None and default is not msgspec.UNSET:
        return default
    if not isinstance(value, str):
        raise _wrong(where, "a string", value)
    return value


def _wrong(param: str, expected: str, got: object) -> RequestError:
    return unexpected(param, expected, got, param=param)
