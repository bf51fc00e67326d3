"""The list of messages in a state, which agents read and extend.

Source: docs/protocol.md, "Messages".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from msgspec import UnsetType

from .calls import find_call
from .document import Document
from .errors import MessageConflict
from .message import AssistantMessage, Message, ToolCall, new_id
from .tracked import TrackedDict, TrackedList
from .values import Json

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
        part = find_call(self._peek(), tool_call_id)
        return None if part is None else ToolCall(part)

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


def _read(item: Json) -> Message:
    is_answer = isinstance(item, TrackedDict) and item.get("role") == "assistant"
    return AssistantMessage(item) if is_answer else Message(item)
