"""A message that a turn writes, and the places of its parts."""

from __future__ import annotations

from typing import Literal, TypeAlias

from statecast_agents.message import AssistantMessage, ToolCall
from statecast_agents.tracked import TrackedDict

__all__ = ["Part", "Shown"]

Part: TypeAlias = str | int  #: what a framework calls a part of a message
Kind: TypeAlias = Literal["text", "reasoning"]


class Shown:
    """A message that a turn writes."""

    __slots__ = ("begun", "complete", "last_call", "listed", "message", "ns", "parts")

    def __init__(self, message: AssistantMessage, ns: str, *, begun: bool) -> None:
        self.message = message
        self.ns = ns
        self.begun = begun  #: whether this turn has added it
        self.listed = True  #: whether it is in the state
        self.complete = False
        self.parts: dict[Part, TrackedDict] = {}  #: by the keys of the framework
        self.last_call: ToolCall | None = None

    def part(self, key: Part, kind: Kind) -> TrackedDict:
        """Return the part with a key, and add one if there is none of that kind."""
        found = self.parts.get(key)
        if found is None or found["type"] != kind:
            found = self.parts[key] = self.message.add_part({"type": kind, "text": ""})
        return found
