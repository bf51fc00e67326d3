"""Messages in a state: their documented shape, and how agents read and write them.

A message is `{"id", "role", "parts"}`; a part is `{"type": "text", "text"}`, `{"type": "reasoning", "text"}`,
`{"type": "image", "image"}`, `{"type": "source", …}`, `{"type": "file", …}`, `{"type": "data", "name", "data"}` or
`{"type": "tool-call", "toolCallId", "toolName", "args", "argsText"}` which gains `"result"` and `"isError"` when it
settles, or `"cutOff": true` when its run was stopped before. The conversation of a sub-agent is a list of messages in
the call that began it, `"messages"`, in the shape in which assistant-ui draws them without a converter: their parts are
under `"content"`, and the assistant's have a `"status"`. Source: docs/protocol/messages.md, "Messages".

Clients may send states with any JSON value in place of a message; reading one never raises.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, overload

import msgspec
from msgspec import UNSET, UnsetType

from .arguments import arguments_text, state_arguments
from .calls import CUT_OFF, DISMISSED, NESTED, find_call, is_call, is_open, open_calls
from .commands import text_of
from .document import Document
from .errors import AgentError, MessageConflict, NotJson, OperationError
from .ids import id_of, new_id
from .metadata import MetadataWriter
from .part_writer import PartWriter
from .pending import Pending
from .questions import Kind, Option, question
from .tracked import TrackedDict, TrackedList, container_of
from .values import Json

__all__ = ["AssistantMessage", "CallMessages", "Message", "MessageList", "ToolCall"]

#: Statuses of messages in a call. assistant-ui throws at one of the assistant's without a status or `content`.
RUNNING: Final = {"type": "running"}
COMPLETE: Final = {"type": "complete", "reason": "stop"}
CANCELLED: Final = {"type": "incomplete", "reason": "cancelled"}


class Message:
    """A message of any role. Reading it changes nothing.

    Args:
        message: The message itself, as part of the state.
        field: The key of its parts: "parts", or "content" if it is in a tool call.
    """

    def __init__(self, message: Json, field: str = "parts") -> None:
        self.message = message  #: the message itself, as part of the state
        self.field = field  #: where it has its parts

    @property
    def id(self) -> str:
        """The message's id; "" if it has none."""
        return str(self._get("id") or "")

    @property
    def role(self) -> str:
        """The message's role, "user" or "assistant"; "" if it has none."""
        return str(self._get("role") or "")

    @property
    def parts(self) -> Sequence[Json]:
        """The parts, as part of the state."""
        parts = self._get(self.field)
        return parts if isinstance(parts, list) else ()

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks as in `NewMessage.text`."""
        return text_of(self.parts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls among the parts."""
        return [ToolCall(part) for part in self.parts if is_call(part)]

    def _get(self, name: str) -> Json:
        return self.message.get(name) if isinstance(self.message, dict) else None


class AssistantMessage(PartWriter, MetadataWriter, Message):
    """An assistant message, written part by part."""

    message: TrackedDict

    def rename(self, id: str) -> bool:  # the field's name
        """Give the message another id, and return whether it has that id now.

        The message keeps its id if another message of the list has `id`, or if `id` is empty. A stream in a message
        protocol continues with the id with which it began.
        """
        with self.message._document.lock:
            siblings = container_of(self.message) or ()
            if not id or any(id_of(other) == id and other is not self.message for other in siblings):
                return False
            self.message["id"] = id
            return True

    def add_tool_call(self, name: str, args: Json = UNSET, *, id: str | None = None) -> ToolCall:  # field
        """Add a tool call. Without `args`, stream its arguments with `ToolCall.append_args`.

        Raises:
            NotJson: JSON cannot express `args`. A value that JSON can express and a state cannot hold, such as an
                integer that JavaScript would round, is stored in `argsText` only.
        """
        given = args is not UNSET
        return ToolCall(
            self.add_part(
                {
                    "type": "tool-call",
                    "toolCallId": id or new_id("call"),
                    "toolName": name,
                    "args": state_arguments(args) if given else {},
                    "argsText": arguments_text(args) if given else "",
                }
            )
        )


class ToolCall:
    """A tool call of the assistant, read and written."""

    def __init__(self, part: TrackedDict) -> None:
        self.part = part  #: the part itself, as part of the state

    @property
    def id(self) -> str:
        """The call's id; "" if it has none."""
        return str(self.part.get("toolCallId", ""))

    @property
    def name(self) -> str:
        """The tool's name; "" if it has none."""
        return str(self.part.get("toolName", ""))

    @property
    def args(self) -> Json:
        """The arguments, as part of the state; `{}` until streamed ones are finished."""
        return self.part.get("args")

    @property
    def args_text(self) -> str:
        """The arguments' JSON text, as streamed so far."""
        return str(self.part.get("argsText", ""))

    @property
    def result(self) -> Json:
        """The result, as part of the state; None until there is one, see `settled`."""
        return self.part.get("result")

    @property
    def settled(self) -> bool:
        """Whether the call has a result."""
        return "result" in self.part

    @property
    def open(self) -> bool:
        """Whether the call can still get a result."""
        return is_open(self.part)

    @property
    def messages(self) -> CallMessages:
        """The conversation of the sub-agent that the call started, written like `run.messages`."""
        return CallMessages(self.part)

    def append_args(self, delta: str) -> None:
        """Append to the arguments' JSON text; `finish_args` decodes it into `args`.

        Raises:
            TypeError: `delta` is not a str.
            NotJson: `delta` contains a lone surrogate. A high surrogate at its end waits for the low one.
        """
        self.part.append_text("argsText", delta)

    def finish_args(self) -> Json:
        """Decode the streamed arguments into `args`, and return them. If none were streamed, they are `{}`.

        A state may be unable to hold them, because of an integer that JavaScript would round. Then they are returned
        and stay in `argsText`, and `args` is `{}`.

        Raises:
            OperationError: The streamed text is not JSON.
        """
        if not self.part["argsText"].strip():
            self.part.append_text("argsText", "{}")
        try:
            args = msgspec.json.decode(self.part["argsText"])
        except (msgspec.DecodeError, RecursionError) as error:
            raise OperationError(f'the arguments of the tool call "{self.id}" are not JSON: {error}') from error
        try:
            self.part["args"] = args
        except NotJson:
            self.part["args"] = {}
            return args
        return self.part["args"]

    def set_result(self, result: Json, *, is_error: bool = False, artifact: Json = UNSET) -> None:
        """Set the call's result. `artifact` is for the UI, not for the model."""
        self.part.update(
            {"result": result, "isError": is_error} | ({} if artifact is UNSET else {"artifact": artifact}),
        )
        self.messages.end(COMPLETE)

    def ask(
        self,
        prompt: str | None = None,
        *,
        options: Sequence[Option] | None = None,
        schema: Json = None,
        kind: Kind = "approval",
        details: Json = None,
        id: str | None = None,  # the field's name
    ) -> str:
        """Ask the user about this call, and return the question's id. A later run gets the answer.

        The call has no result yet. After asking, return from the handler: the thread then waits, without holding any
        resources, until the user answers. `Run.answers` of the next run contains the answer.

        Args:
            prompt: The text of the question; default: the page uses the call's name and arguments.
            options: The choices, as texts or as `{"id", "kind"?, "label"?, …}`.
            schema: JSON Schema of the answer's value.
            kind: The kind of answer: `approval`, `choice`, `text`, or `input`, a value that fits `schema`.
            details: Further data for the page, stored in the question unchanged.
            id: The question's id; default: a new one. An open question with this id is replaced.

        Raises:
            ValueError: The kind or the options are invalid; the message names them.
            AgentError: `no_pending`: the agent has no place for questions in its state.
            RunEnded: The run has ended.
        """
        document = self.part._document
        if not isinstance(document, Document) or document.questions_at is None:
            raise AgentError("expected a tool call of a run whose agent has a place for questions", code="no_pending")
        name = id or new_id("ask")
        call_id = self.id or None
        asked = question(
            name, kind=kind, prompt=prompt, options=options, schema=schema, details=details, call_id=call_id
        )
        Pending(document, document.questions_at).ask(asked, self.part)
        return name

    def dismiss(self) -> None:
        """Set a result that says that the user did not answer the question."""
        self.set_result(DISMISSED, is_error=True)

    def cut_off(self) -> None:
        """Mark the call as stopped with its run, before it had a result."""
        self.part[CUT_OFF] = True
        self.messages.end(CANCELLED)


class MessageList(ABC):
    """A list of messages in a state. `len`, indexes, slices and `for` read them; reading changes nothing."""

    __slots__ = ()

    field: ClassVar[str] = "parts"  #: where the messages have their parts

    @property
    @abstractmethod
    def items(self) -> TrackedList:
        """The list itself, as part of the state; created on first use.

        Raises:
            MessageConflict: The state has another value in the place of the messages.
        """

    @abstractmethod
    def _peek(self) -> Sequence[Json]:
        """Return what the list has, without creating it."""

    def __len__(self) -> int:
        return len(self._peek())

    def __iter__(self) -> Iterator[Message]:
        return map(self._read, self._peek())

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        items = self._peek()
        return [*map(self._read, items[index])] if isinstance(index, slice) else self._read(items[index])

    def find(self, id: str) -> Message | None:  # the field's name
        """Return the last message with that id; None if there is none."""
        at = self._place(id, len(self))
        return None if at is None else self[at]

    def assistant(self, *, id: str | None = None) -> AssistantMessage:  # the field's name
        """Append an assistant message, and return it for writing.

        If another message already has `id`, the new one gets a new id.
        """
        named = id if id and not self._has(id, len(self)) else new_id("msg")
        self.items.append({"id": named, "role": "assistant", self.field: [], **self._more()})
        return AssistantMessage(self.items[-1], self.field)

    def open(self, id: str) -> AssistantMessage:  # the field's name
        """Return the assistant's message with that id for writing; append one if there is none.

        Raises:
            MessageConflict: "message_id_taken": the message with that id is not the assistant's.
        """
        found = self.find(id)
        if found is None:
            return self.assistant(id=id)
        if isinstance(found, AssistantMessage):
            return found
        text = f'expected "{id[:100]}" to name a message of the assistant, got one of the role "{found.role[:100]}"'
        raise MessageConflict("message_id_taken", text)

    def last_assistant(self) -> AssistantMessage:
        """Return the last message if it is the assistant's; else append one."""
        last = self[-1] if len(self) else None
        return last if isinstance(last, AssistantMessage) else self.assistant()

    def open_calls(self) -> list[ToolCall]:
        """Return the tool calls after the user's last message that can still be answered, sub-agents' included."""
        return [ToolCall(part) for part in open_calls(self._peek(), self.field)]

    def find_tool_call(self, tool_call_id: str) -> ToolCall | None:
        """Return the latest tool call with that id, if there is one; a sub-agent's if no other has it."""
        part = find_call(self._peek(), tool_call_id, field=self.field)
        return None if part is None else ToolCall(part)

    def _more(self) -> dict[str, Json]:
        """Return further fields of a new message of the assistant."""
        return {}

    def _read(self, item: Json) -> Message:
        is_answer = isinstance(item, TrackedDict) and item.get("role") == "assistant"
        return AssistantMessage(item, self.field) if is_answer else Message(item, self.field)

    def _has(self, id: str, size: int) -> bool:
        """Return whether one of the first `size` messages has the id."""
        return self._place(id, size) is not None

    def _place(self, id: Json | UnsetType, size: int) -> int | None:
        """Return the index of the last of the first `size` messages that has the id; None if none has."""
        if not isinstance(id, str):
            return None
        items = self._peek()
        return next((index for index in range(size - 1, -1, -1) if id_of(items[index]) == id), None)


class CallMessages(MessageList):
    """The messages in a tool call: a sub-agent's conversation.

    The last assistant message is shown as running until another one follows it, or the call has its result.

    Args:
        part: The call, as part of the state.
    """

    __slots__ = ("_part",)

    field = NESTED

    def __init__(self, part: TrackedDict) -> None:
        self._part = part

    def user(self, text: str, *, id: str | None = None) -> Message:  # the field's name
        """Append the sub-agent's question as a user message, and return it.

        If another message already has `id`, the new one gets a new id.
        """
        named = id if id and not self._has(id, len(self)) else new_id("msg")
        parts = [{"type": "text", "text": text}]
        message = {"id": named, "role": "user", self.field: parts, "attachments": [], "metadata": {"custom": {}}}
        self.items.append(message)
        return self[-1]

    def end(self, status: dict[str, Json]) -> None:
        """Set the status of the last message, unless it has ended or does not exist."""
        last = self._peek()[-1:]
        if last and isinstance(last[0], TrackedDict) and last[0].get("status") == RUNNING:
            last[0]["status"] = status

    @property
    def items(self) -> TrackedList:
        found = self._part.get("messages")
        if found is None:
            with self._part._document.lock:
                if self._part.get("messages") is None:
                    self._part["messages"] = []
                found = self._part["messages"]
        if isinstance(found, TrackedList):
            return found
        text = f'expected a list of messages in the tool call "{self._part.get("toolCallId")}"'
        raise MessageConflict("no_messages", f"{text}, got {type(found).__name__}")

    def _more(self) -> dict[str, Json]:
        self.end(COMPLETE)
        return {"status": RUNNING, "metadata": {"custom": {}}}

    def _peek(self) -> Sequence[Json]:
        found = self._part.get("messages")
        return found if isinstance(found, list) else ()
