"""Find the tool calls of messages by id: with an index for a batch of results, with a scan for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from .tracked import TrackedDict
from .values import Json

__all__ = ["CUT_OFF", "DISMISSED", "NESTED", "CallIndex", "calls_in", "find_call", "is_call", "is_open", "open_calls"]

#: The field of a call whose run was stopped before it had a result.
CUT_OFF: Final = "cutOff"

#: Where messages in a tool call have their parts; others have them under "parts".
NESTED: Final = "content"

#: The result of a call whose question the user left unanswered.
DISMISSED: Final = {"dismissed": True}


class CallIndex:
    """An index of the tool calls in messages. It skips messages that have left the list since it was made.

    Args:
        items: The messages.
    """

    def __init__(self, items: Sequence[Json]) -> None:
        #: by their ids, and by the places of their messages: the message, and the parts in order
        self._found: dict[str, dict[int, tuple[TrackedDict, list[TrackedDict]]]] = {}
        for index, message in enumerate(items):
            for part in _outer_last(message):
                if isinstance(part.get("toolCallId"), str):
                    found = self._found.setdefault(part["toolCallId"], {})
                    found.setdefault(index, (message, []))[1].append(part)

    def find(self, items: Sequence[Json], id: str, message_id: Json | UnsetType = UNSET) -> list[TrackedDict]:
        """Return the calls with an id in the latest message that has any, last first; those of sub-agents at the end.

        Args:
            items: The messages that are looked at.
            id: Of the calls.
            message_id: Of the message; UNSET: any.
        """
        for index, (message, parts) in reversed(self._found.get(id, {}).items()):
            here = index < len(items) and items[index] is message
            if here and message_id in (UNSET, message.get("id")):
                return parts[::-1]
        return []


def find_call(
    items: Sequence[Json],
    id: str,
    message_id: Json | UnsetType = UNSET,
    index: CallIndex | None = None,
    *,
    field: str = "parts",
) -> TrackedDict | None:
    """Return the last open call with an id in the given message, or in the latest that has one; None if none has.

    Args:
        items: The messages that are searched.
        id: Of the call.
        message_id: Of the message; UNSET: any.
        index: Of the messages, where there is one.
        field: Where the messages have their parts.
    """
    found = _scan(items, id, message_id, field) if index is None else index.find(items, id, message_id)
    return next((part for part in found if is_open(part)), found[0] if found else None)


def calls_in(message: Json, field: str = "parts") -> Iterator[TrackedDict]:
    """Yield the tool calls in a message, each before those of the sub-agent that it began.

    Args:
        message: The message.
        field: Where it has its parts.
    """
    for part in _own_calls(message, field):
        yield part
        yield from _calls_below(part)


def open_calls(items: Sequence[Json], field: str) -> list[TrackedDict]:
    """Return the calls after the user's last message that can still get a result, sub-agents' included.

    Args:
        items: The messages.
        field: Where they have their parts.
    """
    found: list[TrackedDict] = []
    for item in reversed(items):
        if not isinstance(item, dict) or item.get("role") == "user":
            break
        found += [part for part in reversed([*calls_in(item, field)]) if is_open(part)]
    return found[::-1]


def is_call(part: Json) -> bool:
    """Return whether a part of a message is a tool call."""
    return isinstance(part, TrackedDict) and part.get("type") == "tool-call"


def is_open(call: TrackedDict) -> bool:
    """Return whether a tool call can still get a result."""
    return "result" not in call and CUT_OFF not in call


def _own_calls(message: Json, field: str) -> list[TrackedDict]:
    parts = message.get(field) if isinstance(message, dict) else None
    return [part for part in parts if is_call(part)] if isinstance(parts, list) else []


def _calls_below(call: TrackedDict) -> Iterator[TrackedDict]:
    messages = call.get("messages")
    for message in messages if isinstance(messages, list) else ():
        yield from calls_in(message, NESTED)


def _outer_last(message: Json, field: str = "parts") -> list[TrackedDict]:
    """Return the tool calls in a message, those of sub-agents first."""
    own = _own_calls(message, field)
    return [*(below for call in own for below in _calls_below(call)), *own]


def _scan(items: Sequence[Json], id: str, message_id: Json | UnsetType, field: str) -> list[TrackedDict]:
    """Return the same as `CallIndex.find`, without an index."""
    for message in reversed(items):
        if isinstance(message, dict) and message_id in (UNSET, message.get("id")):
            found = [part for part in reversed(_outer_last(message, field)) if part.get("toolCallId") == id]
            if found:
                return found
    return []
