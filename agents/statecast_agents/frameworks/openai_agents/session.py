"""The SDK's session over `run.memory`: the conversation as the model reads it.

Each `add_items` is stored as a separate value, so a turn costs only what it adds. Edits revert the memory, and with it
the conversation. A user message is stored as its id, since the thread's state has its texts and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from statecast_agents.frameworks.adapter.plain import plain
from statecast_agents.frameworks.model_clients.openai_requests import to_responses
from statecast_agents.message import Message
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["MemorySession", "items_of"]

_PREFIX: Final = "openai-agents:items:"

#: The field of an item that stands for a message of the thread.
_MESSAGE: Final = "statecastMessage"


def items_of(run: Run, *messages: Message) -> list[Any]:
    """Return messages of the thread as items of the SDK's input."""
    found: list[Any] = to_responses(run, messages=messages)["input"]
    return found


class MemorySession:
    """The session of a thread, for one run.

    Args:
        run: The run.
        new: The messages that the SDK is given as input.
    """

    def __init__(self, run: Run, new: Sequence[Message] = ()) -> None:
        self.session_id = run.thread_id
        self.session_settings: Any = None
        self._run = run
        self._memory = run.memory
        self._new = [(items_of(run, message), message.id) for message in new]

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """Return the latest `limit` items, the oldest first; None: all."""
        items = [item for name in self._names() for stored in self._memory[name] for item in self._load(stored)]
        return items if limit is None else items[max(len(items) - limit, 0) :]

    async def add_items(self, items: Sequence[Any]) -> None:
        """Add items at the end."""
        if items:
            names = self._names()
            number = int(names[-1].removeprefix(_PREFIX)) + 1 if names else 1
            self._memory[f"{_PREFIX}{number:08}"] = [self._stored(plain(item)) for item in items]

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
        return next(self._load(last), None)

    async def clear_session(self) -> None:
        """Remove all items."""
        for name in self._names():
            del self._memory[name]

    def _stored(self, item: Json) -> Json:
        return next(({_MESSAGE: id} for items, id in self._new if items == [item]), item)

    def _load(self, stored: Json) -> Iterator[Any]:
        """Yield the item that is stored; none if its message has left the thread."""
        if _MESSAGE not in stored:
            yield stored
            return
        message = self._run.messages.find(stored[_MESSAGE])
        if message is not None:
            yield from items_of(self._run, message)

    def _names(self) -> list[str]:
        return sorted(name for name in self._memory if name.startswith(_PREFIX))
