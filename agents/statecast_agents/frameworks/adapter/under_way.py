"""Store in the thread's memory which messages a run is writing, to know the incomplete ones after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from statecast_agents.run import Run

__all__ = ["UnderWay"]

#: The name in the thread's memory.
SLOT: Final = "turn"

#: Namespace and id of a message.
Key = list[str]


class UnderWay:
    """The messages that one turn of a run is writing. Other turns of the run may go on beside it.

    Args:
        run: The run.
    """

    __slots__ = ("_noted", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._noted: list[Key] = []

    def take_interrupted(self) -> list[Key]:
        """Return, once, what an earlier run was writing when a crash cut it off."""
        note = self._run.memory.get(SLOT)
        if note is None or note["run"] == self._run.id:
            return []
        del self._run.memory[SLOT]
        return list(note["messages"])

    def note(self, messages: Sequence[Key]) -> None:
        """Note what the turn is writing now; nothing is stored if that is what it was writing before.

        Raises:
            RunEnded: The run has ended.
        """
        if messages == self._noted:
            return
        memory = self._run.memory
        note = memory.get(SLOT, {"messages": []})
        others = [key for key in note["messages"] if key not in self._noted]
        self._noted = list(messages)
        if others or messages:
            memory[SLOT] = {"run": self._run.id, "messages": [*others, *messages]}
        elif SLOT in memory:
            del memory[SLOT]
