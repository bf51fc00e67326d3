"""Finding the tool calls of messages by id: through an index for a batch of results, by a scan for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from .tracked import TrackedDict
from .values import Json

__all__ = ["CUT_OFF", "CallIndex", "find_call", "is_call", "is_open"]

#: The field of a call whose run was stopped before it had a result.
CUT_OFF: Final = "cutOff"


class CallIndex:
    """An index of the tool calls in messages. It skips messages that have left the list since it was made.

    Args:
        items: The messages.
    """

    def __init__(self, items: Sequence[Json]) -> None:
        #: by their ids, and by the places of their messages: the message, and the parts in order
        self._found: dict[str, dict[int, tuple[TrackedDict, list[TrackedDict]]]] = {}
        for index, message in enumerate(items):
            parts = message.get("parts") if isinstance(message, TrackedDict) else None
            for part in parts if isinstance(parts, list) else ():
                if is_call(part) and isinstance(part.get("toolCallId"), str):
                    found = self._found.setdefault(part["toolCallId"], {})
                    found.setdefault(index, (message, []))[1].append(part)

    def find(self, items: Sequence[Json], id: str, message_id: Json | UnsetType = UNSET) -> list[TrackedDict]:
        """Return the calls with an id in the latest message that has any, last first.

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
    items: Sequence[Json], id: str, message_id: Json | UnsetType = UNSET, index: CallIndex | None = None
) -> TrackedDict | None:
    """Return the last open call with an id in the given message, or in the latest that has one; None if none has.

    Args:
        items: The messages that are searched.
        id: Of the call.
        message_id: Of the message; UNSET: any.
        index: Of the messages, where there is one.
    """
    found = _scan(items, id, message_id) if index is None else index.find(items, id, message_id)
    return next((part for part in found if is_open(part)), found[0] if found else None)


def is_call(part: Json) -> bool:
    """Return whether a part of a message is a tool call."""
    return isinstance(part, TrackedDict) and part.get("type") == "tool-call"


def is_open(call: TrackedDict) -> bool:
    """Return whether a tool call can still get a result."""
    return "result" not in call and CUT_OFF not in call


def _scan(items: Sequence[Json], id: str, message_id: Json | UnsetType) -> list[TrackedDict]:
    """Return the same as `CallIndex.find`, without an index."""
    for message in reversed(items):
        parts = message.get("parts") if isinstance(message, dict) else None
        if not isinstance(parts, list) or message_id not in (UNSET, message.get("id")):
            continue
        found: list[TrackedDict] = [part for part in reversed(parts) if is_call(part) and part.get("toolCallId") == id]
        if found:
            return found
    return []
