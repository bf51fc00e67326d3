"""The list of messages in a state: agents read and extend it, and the two built-in commands change it.

Source: docs/protocol.md, "Messages".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from msgspec import UNSET, UnsetType

from .calls import CallIndex, calls_in
from .commands import AddMessage, AddToolResult, AnyCommand
from .document import Document
from .errors import MessageConflict
from .message import CUT_OFF, AssistantMessage, Message, ToolCall, new_id
from .tracked import TrackedDict, TrackedList
from .values import Json, plain_copy

__all__ = ["Messages"]


class Messages:
    """The messages at a path of a state. `len`, indexes, slices and `for` read them; reading changes nothing.

    Args:
        document: The state.
        path: Keys that lead to the list, which is created with the first message.
    """

    __slots__ = (
        "_document",
        "_path",
        "dropped",
    )

    def __init__(self, document: Document, path: Sequence[str]) -> None:
        #: the messages that edits in the batch removed, in order: `{"parentId", "message"}`, with the id of the message
        #: before it. If the new message took its id, the removed one has a new id here; if both say the same, it is
        #: not listed.
        self.dropped: list[dict[str, Json]] = []
        self._document = document
        self._path = tuple(path)

    @property
    def items(self) -> TrackedList:
        """The list itself, as part of the state; created if there is none yet.

        Raises:
            MessageConflict: The state has something else where the messages should be.
        """
        found = self._peek()
        if isinstance(found, TrackedList):
            return found  # who only reads may do so after the run, too
        document = self._document
        with document.lock:
            self._require_list()
            if document.root is None:
                document.root = {} if self._path else []
            at = document.root
            for depth, key in enumerate(self._path, 1):
                if at.get(key) is None:
                    at[key] = {} if depth < len(self._path) else []
                at = at[key]
            return at  # type: ignore[no-any-return]  # the list that was required

    def __len__(self) -> int:
        return len(self._peek())

    def __iter__(self) -> Iterator[Message]:
        return map(_read, self._peek())

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        items = self._peek()
        return [*map(_read, items[index])] if isinstance(index, slice) else _read(items[index])

    def find(self, id: str) -> Message | None:  # the field's name
        """Return the last message with that id; None if there is none."""
        at = self._place(id, len(self))
        return None if at is None else self[at]

    def _peek(self) -> Sequence[Json]:
        at = self._document.root
        for key in self._path:
            at = at.get(key) if isinstance(at, dict) else None
        return at if isinstance(at, list) else ()

    def assistant(self, *, id: str | None = None) -> AssistantMessage:  # the field's name
        """Append a message of the assistant, and return it for writing.

        If another message has `id` already, the new one gets a new id.
        """
        named = id if id and not self._has(id, len(self)) else new_id("msg")
        self.items.append({"id": named, "role": "assistant", "parts": []})
        return AssistantMessage(self.items[-1])

    def last_assistant(self) -> AssistantMessage:
        """Return the last message if it is the assistant's; else append one."""
        last = self[-1] if len(self) else None
        return last if isinstance(last, AssistantMessage) else self.assistant()

    def open_calls(self) -> list[ToolCall]:
        """Return the tool calls after the user's last message that can still be answered."""
        found: list[ToolCall] = []
        for item in reversed(self._peek()):
            message = _read(item)
            if not isinstance(item, dict) or message.role == "user":
                break
            found += [call for call in reversed(message.tool_calls) if call.open]
        return found[::-1]

    def find_tool_call(self, tool_call_id: str) -> ToolCall | None:
        """Return the latest tool call with that id, if there is one."""
        part = self._find_call(tool_call_id)
        return None if part is None else ToolCall(part)

    def check(self, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
        """Check that the built-in commands of a batch fit the messages, without applying any.

        Args:
            commands: The batch, in order; the later ones are checked as if the earlier ones had been applied.
            agrees: Whether the client had seen the state as it is, see `apply`. It has not seen what the batch adds.

        Raises:
            MessageConflict: "unknown_parent", "unknown_tool_call", "tool_call_settled" or "no_messages".
        """
        size = len(self._peek())  # of the messages there are, how many the batch leaves
        calls = self.calls_for(commands)
        settled: set[tuple[Json, str]] = set()
        for command in commands:
            if isinstance(command, AddMessage):
                self._require_list()
                size = self._keep(command, agrees=agrees, size=size)
                agrees = False
            elif isinstance(command, AddToolResult):
                self._open_call(command, settled, size, calls)
                settled.add((command.message_id, command.tool_call_id))

    def calls_for(self, commands: Sequence[AnyCommand]) -> CallIndex | None:
        """Return an index for `apply` to find the calls of a batch; None if it has at most one result."""
        results = sum(isinstance(command, AddToolResult) for command in commands)
        return CallIndex(self._peek()) if results > 1 else None

    def apply(self, command: AddMessage | AddToolResult, *, agrees: bool, calls: CallIndex | None = None) -> None:
        """Apply a built-in command to the messages.

        A message with `source_id` is an edit: what follows `parent_id` is dropped. Without, it is dropped only where
        the client had seen the state as it is (`agrees`); a stale tab never deletes what it has not seen. Nor does the
        second message of a batch, whose parent is the same as the first's: pass `agrees` for the first one only.

        Args:
            command: What is applied.
            agrees: Whether the client had seen the state as it is.
            calls: Of the batch, if it has several results, see `calls_for`.

        Raises:
            MessageConflict: As in `check`; nothing was applied.
            NotJson: The message or the result is not something a state can hold; nothing was applied.
        """
        if isinstance(command, AddMessage):
            keep = self._keep(command, agrees=agrees, size=len(self.items))
            message: dict[str, Json] = {
                "id": self._id_for(command, keep),
                "role": command.message.role,
                "parts": command.message.parts,
            }
            if command.message.metadata is not UNSET:
                message["metadata"] = command.message.metadata
            dropped = self._dropped(keep, message)
            if dropped or keep < len(self.items):
                self.items[keep:] = [message]
            else:
                self.items.append(message)
            self.dropped += dropped
            return
        part = self._open_call(command, set(), len(self._peek()), calls)
        settled: dict[str, Json] = {"result": command.result, "isError": command.is_error}
        if command.artifact is not UNSET:
            settled["artifact"] = command.artifact
        if command.model_content is not UNSET:
            settled["modelContent"] = command.model_content
        part.update(settled)

    def _dropped(self, keep: int, new: dict[str, Json]) -> list[dict[str, Json]]:
        """Return the messages that `new` replaces, as entries of `dropped`."""
        items = self._peek()
        parent = _id_of(items[keep - 1]) if keep else None
        found: list[dict[str, Json]] = []
        for message in plain_copy(items[keep:]):
            if _id_of(message) != new["id"]:
                found.append({"parentId": parent, "message": message})
            elif message.get("parts") != new["parts"]:
                message["id"] = new_id("msg")
                found.append({"parentId": parent, "message": message})
            parent = _id_of(message)
        return found

    def _id_for(self, command: AddMessage, keep: int) -> str:
        given = command.message.id
        return new_id("msg") if isinstance(given, UnsetType) or self._has(given, keep) else given

    def _has(self, id: str, size: int) -> bool:
        """Return whether one of the first `size` messages has the id."""
        return self._place(id, size) is not None

    def _place(self, id: Json | UnsetType, size: int) -> int | None:
        """Return the index of the last of the first `size` messages that has the id; None if none has."""
        if not isinstance(id, str):
            return None
        items = self._peek()
        for index in range(size - 1, -1, -1):
            item = items[index]
            if isinstance(item, dict) and item.get("id") == id:
                return index
        return None

    def _keep(self, command: AddMessage, *, agrees: bool, size: int) -> int:
        """Return how many messages stay before the new one."""
        parent = command.parent_id
        if command.source_id is not None:
            if parent is None:
                return 0
            at = self._place(parent, size)
            if at is not None:
                return at + 1
            source = self._place(command.source_id, size) if parent is UNSET else None
            if source is not None:
                return source
            name = "none" if parent is UNSET else f'"{parent}"'
            raise MessageConflict("unknown_parent", f"expected parentId to name a message of the thread, got {name}")
        at = self._place(parent, size) if agrees else None
        return size if at is None else at + 1

    def _require_list(self) -> None:
        at = self._document.root
        for key in self._path:
            if at is None:
                return
            if not isinstance(at, dict):
                break
            at = at.get(key)
        else:
            if at is None or isinstance(at, list):
                return
        where = "/".join(self._path)
        text = f'expected a list of messages at "{where}" in the state, got {type(at).__name__}'
        raise MessageConflict("no_messages", text)

    def _open_call(
        self, command: AddToolResult, settled: set[tuple[Json, str]], size: int, calls: CallIndex | None
    ) -> TrackedDict:
        name = command.tool_call_id
        part = self._find_call(name, size, command.message_id, calls)
        if part is None:
            raise MessageConflict("unknown_tool_call", f'expected toolCallId to name a tool call, got "{name[:100]}"')
        if "result" in part or (command.message_id, name) in settled:
            raise MessageConflict("tool_call_settled", f'the tool call "{name[:100]}" has its result already')
        if CUT_OFF in part:
            raise MessageConflict("tool_call_settled", f'the tool call "{name[:100]}" was stopped, with its run')
        return part

    def _find_call(
        self,
        tool_call_id: str,
        size: int | None = None,
        message_id: str | UnsetType = UNSET,
        calls: CallIndex | None = None,
    ) -> TrackedDict | None:
        """Return the last open call with that id in the given message, or in the latest that has one."""
        items = self._peek()[:size]
        find = calls_in if calls is None else calls.find
        found = find(items, tool_call_id, message_id)
        return next((part for part in found if ToolCall(part).open), found[0] if found else None)


def _read(item: Json) -> Message:
    is_answer = isinstance(item, TrackedDict) and item.get("role") == "assistant"
    return AssistantMessage(item) if is_answer else Message(item)


def _id_of(message: Json) -> Json:
    return message.get("id") if isinstance(message, dict) else None
