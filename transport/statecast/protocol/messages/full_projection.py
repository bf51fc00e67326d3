"""Full projections: they also track the messages that the stream does not show.

For protocols that at times send all messages of a thread as of the stream's position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from statecast_agents import Json, operations

from .projection import Projection
from .sent import SentParts
from .state_messages import id_of, items_in, role_of

__all__ = ["FullProjection"]


class FullProjection(Projection):
    """A projection that knows every message of the thread, once it shows one of them."""

    def __init__(self, path: Sequence[str] | None, *, run_id: str | None = None, **more: Any) -> None:
        self.version = 0  #: grows when a message was put anywhere
        self.altered = False  #: whether a message that the stream does not show was replaced; the reader clears it
        self._all: list[Json | SentParts] = []
        super().__init__(path, run_id=run_id, **more)

    @property
    def lists(self) -> bool:
        """Return whether the thread has a message list: the agent keeps its messages in the state."""
        return self._path is not None

    @property
    def listed(self) -> bool:
        """Whether there are, and the stream shows what becomes of them."""
        return self.lists and self._begun

    @property
    def begun(self) -> bool:
        """Whether the stream shows changes: its run has begun, or it joined a run under way."""
        return self._begun

    @property
    def run_id(self) -> str | None:
        """The id of the run that the stream belongs to."""
        return self._run_id

    def everything(self) -> list[Json]:
        """Return all messages, complete."""
        if not self._begun and self._before is not None:
            return items_in(self._before.plain(), self._path)
        return [item.whole() if isinstance(item, SentParts) else item for item in self._all]

    def answer(self) -> list[Json]:
        """Return what follows the user's last message."""
        items = self.everything()
        return items[next((at for at in range(len(items), 0, -1) if role_of(items[at - 1]) == "user"), 0) :]

    def ids(self) -> list[str | None]:
        """Return the id of each message that has one."""
        return [item.id if isinstance(item, SentParts) else id_of(item) for item in self._all]

    def shows(self, index: int) -> bool:
        """Whether the stream shows a message."""
        return isinstance(self._all[index], SentParts)

    def place(self, number: int) -> tuple[str, list[Json], int] | None:
        """Return the id and parts of the message that has a numbered part, and that part's index; None if none has.

        The texts among the parts may have grown since.
        """
        for message in self._sent.values():
            for index, part in message.parts.items():
                if part.number == number:
                    return message.id, message.value["parts"], index
        return None

    def _place(self, index: int, value: Json) -> None:
        super()._place(index, value)
        sent = None if self._messages is None else self._messages[index]
        item = value if sent is None else sent
        self.version += 1
        if index >= len(self._all):
            self._all.append(item)
            return
        before = self._all[index]
        if not isinstance(before, SentParts) and not isinstance(item, SentParts) and before != item:
            self.altered = True
        self._all[index] = item

    def _relist(self, items: list[Json] | None) -> None:
        super()._relist(items)
        self.version += 1
        del self._all[len(items or ()) :]

    def _change(self, operation: operations.Operation, path: Sequence[str]) -> None:
        super()._change(operation, path)
        index = int(path[0])
        if len(path) > 1 and index < len(self._all) and not isinstance(self._all[index], SentParts):
            inner = msgspec.structs.replace(operation, path=tuple(path[1:]))
            self._all[index] = operations.apply(self._all[index], [inner])
            self.altered = True
