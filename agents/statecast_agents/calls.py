"""The tool calls of messages by their ids: looked up once for a batch of results, however many they are."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from .tracked import TrackedDict
from .values import Json

__all__ = ["Calls", "calls_in", "is_call"]


class Calls:
    """Where the calls of messages are. Messages that have left the list since are passed over.

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
        """Return the calls of one message, the last first: of the latest one that has some of this id.

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


def calls_in(items: Sequence[Json], id: str, message_id: Json | UnsetType) -> list[TrackedDict]:
    """Return the calls of one message, as `Calls.find` does, for a single result."""
    for message in reversed(items):
        parts = message.get("parts") if isinstance(message, dict) else None
        if not isinstance(parts, list) or message_id not in (UNSET, message.get("id")):
            continue
        found: list[TrackedDict] = [part for part in reversed(parts) if is_call(part) and part.get("toolCallId") == id]
        if found:
            return found
    return []


def is_call(part: Json) -> bool:
    """Whether a part of a message is a tool call."""
    return isinstance(part, TrackedDict) and part.get("type") == "tool-call"
