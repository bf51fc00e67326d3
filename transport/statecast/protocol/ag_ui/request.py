"""Requests of AG-UI clients: a RunAgentInput, read as a conversation.

Source: docs/protocol/ag-ui-events.md, "POST /ag-ui".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, Literal

import msgspec

from statecast.protocol.errors import InvalidResume, RequestError, UnknownInterrupt
from statecast.protocol.fields import fields_as, fields_of, string_at, unexpected
from statecast.protocol.json_checks import decode
from statecast.protocol.json_compare import same_json
from statecast.protocol.json_values import read_value
from statecast.protocol.lenient import read_past, readable
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.conversation import Conversation, NewCommand, NewTurn, PostedMessage, check_last
from statecast.protocol.messages.state_messages import id_of, items_in, parts_of, role_of
from statecast.protocol.messages.wire import Exchange
from statecast_agents import AddMessage, AddToolResult, Answer, CallSettings, Config, Json, Request

__all__ = ["AgUiConversation", "Resume", "RunAgentInput", "RunInput", "read_run_input"]

#: The result of a call whose interrupt the client gave up.
_CANCELLED: Final = {"cancelled": True}


class Resume(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to an interrupt."""

    interrupt_id: str
    status: Literal["resolved", "cancelled"]
    payload: Json = None


class AgUiTool(msgspec.Struct, frozen=True):
    """A tool that runs in the page."""

    name: str
    description: str = ""
    parameters: Json = None


class AgUiContext(msgspec.Struct, frozen=True):
    """Something that the page tells its agents."""

    description: str
    value: str


class RunAgentInput(msgspec.Struct, frozen=True, rename="camel"):
    """What a client of AG-UI posts."""

    thread_id: str
    run_id: str
    messages: list[Any]
    protocol_version: str | None = None
    state: Json = None
    tools: list[AgUiTool] | None = None
    context: list[AgUiContext] | None = None
    forwarded_props: Json = None
    resume: list[Resume] | None = None


class AgUiConversation(Conversation, frozen=True, kw_only=True):
    """A conversation whose client also answers interrupts, by their ids."""

    resume: Sequence[Resume] = ()
    claim: Json = None  #: the state that it has, be it empty
    known_users: Collection[str] = ()  #: the user messages that some AG-UI client knows
    waiting: str | None = None  #: the run that waits for the user
    answering: bool = False  #: whether a run is under way
    pending: Sequence[str] | None = None  #: where in the state beside the messages the open questions are

    def new_turn(
        self, thread_messages: Sequence[Json] | None, beside: Json | msgspec.UnsetType = msgspec.UNSET
    ) -> NewTurn:
        """Return what is new.

        Messages of the user that the client has cut are dropped, unless it cannot have seen them: its state is another,
        or no client of its kind knows them.

        Raises:
            RequestError: `unknown_interrupt`; `invalid_resume`.
        """
        resumed = self._resumed(thread_messages, beside)
        behind = beside is not msgspec.UNSET and not same_json(self.claim or {}, beside or {})
        safe = msgspec.structs.replace(self, means="say")
        turn = Conversation.new_turn(safe if self.resume or behind else self, thread_messages)
        if turn.replaces and self.edited is None and not self._knows_what_it_replaces(turn, thread_messages or ()):
            turn = Conversation.new_turn(safe, thread_messages)
        given = {command.tool_call_id for command in turn.commands if isinstance(command, AddToolResult)}
        fresh = [command for call, command in resumed if call not in given]
        # A client that only reads gets the whole answer, even if it follows messages that the client has not seen.
        return msgspec.structs.replace(turn, commands=[*fresh, *turn.commands], answers=None)

    def first(self) -> tuple[list[dict[str, Json]], NewTurn]:
        """Return the initial messages of a new thread.

        Raises:
            RequestError: `unknown_interrupt`: nothing waits in it.
        """
        self._resumed([], None)
        return Conversation.first(self)

    @property
    def only_reads(self) -> bool:
        """Whether the client only asks what there is."""
        return not self.messages and all(entry.status == "cancelled" for entry in self.resume)

    @property
    def cancels(self) -> str | None:
        """The run that is to be stopped: it waits for an answer that the client gave up."""
        cancelled = [entry.interrupt_id for entry in self.resume if entry.status == "cancelled"]
        return self.waiting if self.waiting in cancelled else None

    def client_copy(self) -> ClientCopy | None:
        """Return what the client has of the answer that it brings results for; any other is sent from its start."""
        answer = list(takewhile(lambda message: message.role == "assistant", reversed(self.messages)))
        brings = self.resume or any("result" in part for message in answer for part in message.parts)
        return Conversation.client_copy(self) if brings else None

    def _knows_what_it_replaces(self, turn: NewTurn, thread_messages: Sequence[Json]) -> bool:
        """Return whether AG-UI clients know all that would be replaced, and none of it is being answered."""
        ids = [id_of(message) for message in thread_messages]
        users = [id_of(message) for message in thread_messages if role_of(message) == "user"]
        edit = turn.commands[-1]
        first = edit.source_id if isinstance(edit, AddMessage) else None
        if first not in users or (self.answering and ids[-1] == first == self.messages[-1].id):
            return False
        known = {*self.known_users, *(one.id for one in self.messages)}
        return all(isinstance(id, str) and id in known for id in users[users.index(first) :])

    def _resumed(self, thread_messages: Sequence[Json] | None, beside: Json) -> list[tuple[Json, NewCommand]]:
        """Return the answers to interrupts that nobody else has given yet, as commands, and the calls they name."""
        questions = {id_of(question): question for question in items_in(beside, self.pending)}
        calls: dict[str, tuple[Json, Mapping[str, Any]]] = {}  #: by id the latest, and above it the latest open
        for message in thread_messages or ():
            for part in parts_of(message):
                id = str(part.get("toolCallId"))
                if id not in calls or "result" not in part or "result" in calls[id][1]:
                    calls[id] = message.get("id"), part
        commands: list[tuple[Json, NewCommand]] = []
        for entry in self.resume:
            asked = questions.get(entry.interrupt_id)
            if asked is not None:
                value = entry.payload if entry.status == "resolved" else False
                commands.append((asked.get("callId"), Answer(answers={entry.interrupt_id: value})))
                continue
            place, call = calls.get(entry.interrupt_id, (None, None))
            if entry.interrupt_id == self.waiting:
                if entry.status == "resolved":
                    payload = _payload_of(entry)
                    commands.append((payload.get("toolCallId"), msgspec.json.encode(payload)))
            elif call is not None or thread_messages is None:
                if call is None or not {"result", "cutOff"} & call.keys():
                    commands.append((entry.interrupt_id, _answer_to(entry, call, place)))
            elif entry.status == "resolved":
                message = f'expected the id of an interrupt that is open, got "{entry.interrupt_id[:100]}"'
                raise UnknownInterrupt(message)
        return commands


class RunInput(Exchange, frozen=True, kw_only=True):
    """What a client posts."""

    conversation: AgUiConversation
    run_id: str  #: the client's name for what it asks; ours are another's
    modern: bool  #: whether it speaks 1.0, with its interrupts and outcomes
    messages: Sequence[Mapping[str, Any]]  #: as they were posted, as far as they can be read
    state: Json  #: the client's, whether it says anything or not

    @property
    def results(self) -> dict[str, str]:
        """The calls that the client has results of, and the messages that it has them in."""
        tools = [message for message in self.messages if message.get("role") == "tool"]
        return {message["toolCallId"]: str(message.get("id")) for message in tools}

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that run in the client."""
        return frozenset(self.conversation.request.tools)


def read_run_input(data: bytes) -> RunInput:
    """Read a request's body.

    Raises:
        RequestError: `invalid_request`, naming what is wrong.
    """
    body: RunAgentInput = decode(data, RunAgentInput)
    props = body.forwarded_props if isinstance(body.forwarded_props, dict) else {}
    messages = _Messages()
    read_past(body.messages, messages.add)
    check_last(messages.posted)
    edited = props.get("sourceId")
    conversation = AgUiConversation(
        messages=messages.posted,
        thread_id=body.thread_id,
        request=_request(body, props, messages.system),
        # An empty state is what a client has that was sent none: a thread that is new begins with the agent's.
        state=msgspec.UNSET if body.state in (None, {}, []) else body.state,
        edited=edited if isinstance(edited, str) else None,
        means="cut",
        claim=body.state,
        carries=("text", "tool-call"),  # and reasoning, which not every client keeps
        resume=body.resume or (),
    )
    return RunInput(
        conversation=conversation,
        run_id=body.run_id,
        modern=body.protocol_version is not None,
        messages=messages.read,
        state=body.state,
    )


def _request(body: RunAgentInput, props: Mapping[str, Any], system: Sequence[str]) -> Request:
    """Return what reaches the agent beside the messages: a key among the properties only as a key."""
    instructions = [item.value for item in body.context or () if item.description == "system"]
    context = [
        {"description": item.description, "value": item.value}
        for item in body.context or ()
        if item.description != "system"
    ]
    extra = {name: value for name, value in props.items() if name not in _KNOWN}
    if body.forwarded_props is not None and not isinstance(body.forwarded_props, dict):
        extra["forwardedProps"] = body.forwarded_props
    tools = {
        tool.name: {"description": tool.description, "parameters": tool.parameters or {}} for tool in body.tools or ()
    }
    return Request(
        system="\n\n".join([*system, *instructions]) or None,
        tools=tools,
        call_settings=fields_as(CallSettings, props, where="forwardedProps"),
        config=fields_as(Config, props, where="forwardedProps"),
        extra={**extra, "context": context} if context else extra,
    )


_KNOWN: Final = frozenset([*fields_of(CallSettings), *fields_of(Config), "sourceId"])


# Messages


class _Messages:
    """Reads messages one by one. Reasoning is part of the answer behind it, and a result part of its call."""

    def __init__(self) -> None:
        self.posted: list[PostedMessage] = []
        self.read: list[Mapping[str, Any]] = []  #: what was posted, without what cannot be read
        self.system: list[str] = []
        self._calls: dict[str, dict[str, Any]] = {}
        self._reasoning: list[dict[str, Any]] = []

    def add(self, message: Mapping[str, Any], where: str) -> None:
        """Read a message.

        Raises:
            RequestError: `invalid_request`.
        """
        role, id = message.get("role"), message.get("id")
        if not isinstance(id, str):
            raise unexpected(where, "a string as id", id)
        content = message.get("content")
        match role:
            case "user":
                metadata = message.get("metadata")
                given = metadata if isinstance(metadata, dict) else msgspec.UNSET
                parts, problem = _user_parts(content, where)
                posted = PostedMessage(role="user", parts=parts, id=id, metadata=given, problem=problem)
                self.posted.append(posted)
            case "assistant":
                message = self._add_answer(message, where)
            case "tool":
                self._add_result(message, where)
            case "reasoning":
                self._reasoning.append({"type": "reasoning", "text": _text(content, where)})
            case "system" | "developer":
                self.system.append(_text(content, where))
            case "activity":
                pass
            case _:
                raise unexpected(where, "a role that AG-UI knows", role)
        self.read.append(message)

    def _add_answer(self, message: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        """Add an assistant's message, and return the message without calls that cannot be read."""
        content = message.get("content")
        texts = [{"type": "text", "text": _text(content, where)}] if content else []
        calls = message.get("toolCalls") or []
        if not isinstance(calls, list):
            raise unexpected(where, "an array of toolCalls", calls)
        made, problem = readable(calls, lambda call: (call, _call(call, where)))
        parts = [*self._reasoning, *texts, *[part for _, part in made]]
        self._reasoning = []
        self._calls |= {part["toolCallId"]: part for _, part in made}
        posted = PostedMessage(role="assistant", parts=parts, id=message.get("id"), problem=problem)
        self.posted.append(posted)
        return message if problem is None else {**message, "toolCalls": [call for call, _ in made]}

    def _add_result(self, message: Mapping[str, Any], where: str) -> None:
        id, error = message.get("toolCallId"), message.get("error")
        if not isinstance(id, str):
            raise unexpected(where, "a toolCallId", id)
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(part["text"] for part in _user_parts(content, where)[0] if part["type"] == "text")
        text = _text(content, where)
        failed = isinstance(error, str)
        if id in self._calls:
            self._calls[id] |= {"result": read_value(text or str(error) if failed else text), "isError": failed}


def _user_parts(content: object, where: str) -> tuple[list[dict[str, Any]], RequestError | None]:
    """Return the parts that can be read, and why the first of the others cannot."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}], None
    if not isinstance(content, list):
        raise unexpected(where, "a text, or an array of parts, as content", content)
    return readable(content, lambda part: _user_part(part, where))


def _user_part(part: Any, where: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise unexpected(where, "a text, or an array of parts, as content", part)
    metadata = part.get("metadata")
    name = metadata.get("filename") if isinstance(metadata, dict) else part.get("filename")
    named = {"filename": name} if isinstance(name, str) else {}
    match part.get("type"):
        case "text":
            return {"type": "text", "text": _text(part.get("text"), where)}
        case "image" | "audio" | "video" | "document" as kind:
            source = part.get("source")
            if not isinstance(source, dict):
                raise unexpected(where, "a source", source)
            return _media(kind, _text(source.get("value"), where), source.get("mimeType"), source.get("type"), named)
        case "binary":  # of clients before 1.0
            inline = part.get("data")
            value = _text(inline if inline is not None else part.get("url"), where)
            kind = "image" if str(part.get("mimeType")).startswith("image/") else "document"
            return _media(kind, value, part.get("mimeType"), "url" if inline is None else "data", named)
        case other:
            raise unexpected(where, "a part that AG-UI knows", other)


def _media(kind: str, value: str, mime: object, source: object, named: dict[str, Any]) -> dict[str, Any]:
    known = mime if isinstance(mime, str) else "image/png" if kind == "image" else "application/octet-stream"
    if kind == "image":
        whole = source != "data" or value.startswith("data:")  # clients put a whole URL where base64 is meant
        return {"type": "image", "image": value if whole else f"data:{known};base64,{value}", **named}
    return {"type": "file", "data": value, "mimeType": known, **named}


def _call(call: object, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise unexpected(where, "a call of a function", call)
    text = _text(function.get("arguments"), where)
    args = read_value(text or "{}")
    return {
        "type": "tool-call",
        "toolCallId": _text(call.get("id"), where),
        "toolName": _text(function.get("name"), where),
        "args": args if isinstance(args, dict) else {},
        "argsText": text or "{}",
    }


def _text(value: object, where: str) -> str:
    return string_at(value, where, expected="a text")


# Answers


def _answer_to(entry: Resume, call: Mapping[str, Any] | None, message: Json) -> AddToolResult:
    cancelled = entry.status == "cancelled"
    return AddToolResult(
        tool_call_id=entry.interrupt_id,
        tool_name="" if call is None else str(call.get("toolName") or ""),
        message_id=message if isinstance(message, str) else msgspec.UNSET,
        result=_CANCELLED if cancelled else entry.payload,
        is_error=cancelled,
    )


def _payload_of(entry: Resume) -> dict[str, Json]:
    payload = entry.payload
    if not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        message = f"expected a command as the payload of what answers this interrupt, got {payload!r:.80}"
        raise InvalidResume(message)
    return payload
