"""The tools of the agents that the conformance tests drive, as plain functions: a rig makes its framework's of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from statecast_agents import Json

from .provider import PATIENCE, SECRET, until

__all__ = ["PAGE_TOOLS", "Tools"]

#: The tools that the page offers with each request.
PAGE_TOOLS: dict[str, Json] = {
    "pick_color": {
        "description": "Ask the user for a color.",
        "parameters": {
            "type": "object",
            "properties": {"of": {"type": "string"}},
            "required": ["of"],
            "additionalProperties": False,
        },
    }
}


@dataclass
class Tools:
    """The tools of one agent, and what they did."""

    booked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._blocks = threading.Event()
        self._released = threading.Event()
        self._returned = threading.Event()

    async def weather(self, city: str) -> str:
        """Return the weather in a city."""
        return f"sunny in {city}"

    async def book(self, room: str) -> str:
        """Book a room. It needs approval."""
        self.booked.append(room)
        return f"booked {room}"

    async def fails(self) -> str:
        """Fail."""
        raise RuntimeError(f"the database at https://{SECRET} is gone")

    def block(self) -> str:
        """Block the thread until the test releases it."""
        self._blocks.set()
        try:
            assert self._released.wait(PATIENCE)
            return "released"
        finally:
            self._returned.set()

    async def blocks(self) -> None:
        """Wait until `block` blocks."""
        await until(self._blocks)

    async def release(self) -> None:
        """Let `block` return, and wait until it has."""
        self._released.set()
        await until(self._returned)
