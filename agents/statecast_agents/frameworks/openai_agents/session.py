"""The SDK's session over `run.memory`: the conversation as the model reads it.

Each `add_items` is a value of its own, so that a turn costs what it adds. Edits take the memory back, and with it the
conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast_agents.frameworks.plain import plain
from statecast_agents.run import Run

__all__ = ["MemorySession"]

_PREFIX = "openai-agents:items:"


class MemorySession:
    """The session of a thread, for one run.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.session_id = run.thread_id
        self.session_settings: Any = None
        self._memory = run.memory

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """Return the latest `limit` items, the oldest first; None: all."""
        items = [item for name in self._names() for item in self._memory[name]]
        return items if limit is None else items[max(len(items) - limit, 0) :]

    async def add_items(self, items: Sequence[Any]) -> None:
        """Add items at the end."""
        if items:
            names = self._names()
            number = int(names[-1].removeprefix(_PREFIX)) + 1 if names else 1
            self._memory[f"{_PREFIX}{number:08}"] = plain(items)

    async def pop_item(self) -> Any | None:
        """Remove the last item, and return it; None if there is none."""
        names = self._names()
        if not names:
            return None
        items = self._memory[names[-1]]
        last = items.pop()
        if items:
            self._memory[names[-1]] = items
        else:
            del self._memory[names[-1]]
        return last

    async def clear_session(self) -> None:
        """Remove all items."""
        for name in self._names():
            del self._memory[name]

    def _names(self) -> list[str]:
        return sorted(name for name in self._memory if name.startswith(_PREFIX))
