"""Fingerprints: how a message of a state is recognized among the messages that clients wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from statecast_agents import Json

__all__ = ["Fingerprint", "StateMessage", "answers_of", "as_state_messages", "fingerprint_of", "time_of"]


class Fingerprint(msgspec.Struct, frozen=True):
    """The content of a message by which two copies of it are matched."""

    role: Json
    text: str  #: without what is between words
    calls: frozenset[Any]  #: the ids of its tool calls
    resolved: frozenset[Any] = frozenset()  #: those of them that have a result

    def agrees(self, other: Fingerprint) -> bool:
        """Return whether the two are the same message, or one is the beginning of the other."""
        if self.role != other.role:
            return False
        if self.role == "user":
            return self.text == other.text
        return self._begins(other) or other._begins(self)

    def covers(self, other: Fingerprint) -> bool:
        """Return whether this message contains the other's content."""
        return other.text in self.text and other.calls <= self.calls

    def is_less_than(self, other: Fingerprint) -> bool:
        """Return whether this message is the beginning of the other."""
        return self.role == other.role and self._begins(other) and not other._begins(self)

    def _begins(self, other: Fingerprint) -> bool:
        return other.text.startswith(self.text) and self.calls <= other.calls


NOTHING: Final = Fingerprint(None, "", frozenset())


def fingerprint_of(message: Mapping[str, Any] | None) -> Fingerprint:
    """Return a message's fingerprint."""
    if message is None:
        return NOTHING
    given = message.get("parts")
    parts = [part for part in given if isinstance(part, dict)] if isinstance(given, list) else []
    texts = [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]
    calls = [part for part in parts if isinstance(part.get("toolCallId"), str)]
    ids, resolved = (frozenset(call["toolCallId"] for call in calls if name in call) for name in ("type", "result"))
    return Fingerprint(message.get("role"), "".join("".join(texts).split()), ids, resolved)


class StateMessage:
    """A message of the state.

    Args:
        id: Its id, or one that it is given here.
        index: Its place among the state's messages.
        value: The message.
    """

    def __init__(self, id: str, index: int, value: dict[str, Any]) -> None:  # the field's name
        self.id = id
        self.index = index
        self.value = value

    @property
    def role(self) -> Json:
        """Who says it."""
        return self.value.get("role")

    @property
    def has_id(self) -> bool:
        """Whether its id is its own."""
        return self.value.get("id") == self.id

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Its fingerprint, computed only where no id tells which message this is."""
        return fingerprint_of(self.value)


def as_state_messages(messages: Sequence[Json]) -> list[StateMessage]:
    """Return the state's messages, each with a unique id."""
    found: dict[str, StateMessage] = {}
    for index, value in enumerate(messages):
        if not isinstance(value, dict) or value.get("role") not in ("user", "assistant"):
            continue
        id = value.get("id")
        if not isinstance(id, str) or not id or id in found:
            id = f"message-{index}"
            while id in found:
                id += "-"
        found[id] = StateMessage(id, index, value)
    return list(found.values())


def answers_of(state_messages: Sequence[StateMessage]) -> list[StateMessage | None]:
    """Return the next message of the other role, for each message."""
    found: list[StateMessage | None] = []
    for message, following in zip(reversed(state_messages), [None, *reversed(state_messages)], strict=False):
        same = following is not None and following.role == message.role
        found.append(found[-1] if same else following)
    return found[::-1]


def time_of(value: Json) -> float | None:
    """Parse a message's time: JavaScript's text format, or milliseconds."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            time = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            time = datetime.fromtimestamp(value / 1000, UTC).timestamp()
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return time if time >= 0 else None
