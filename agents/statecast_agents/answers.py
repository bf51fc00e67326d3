"""The answers to a thread's questions, stored until a run takes them.

Rule 1: an answer is stored when it is applied, in one entry with its changes to the state. A run that reads the answers
takes them. They are removed when another run begins. So a run that starts again after a crash finds the answers it had
taken, and no other run does.
Rule 2: a run started by a message or an answer also takes the answers that it did not read, once it has completed, no
question is open, and no call is open. So answers do not pile up for an agent that reads only its commands. An agent
that also needs results of frontend tools finds all of them together.
Source: docs/protocol/questions.md, "Questions".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final

from .values import Json

__all__ = ["Answers"]

#: Where they are among what a thread keeps for its runs.
SLOT: Final = "statecast.answers"


class Answers:
    """The answers that no run has taken yet, and those that the latest run took.

    Args:
        slots: What the thread keeps for its runs, by name.
    """

    __slots__ = ("_lock", "_slots")

    def __init__(self, slots: MutableMapping[str, Json] | None = None) -> None:
        self._slots = {} if slots is None else slots
        self._lock = threading.Lock()  #: an agent may take them in a thread, while another answer arrives

    def __contains__(self, id: object) -> bool:
        return id in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def add(self, answers: Mapping[str, Mapping[str, Json]]) -> None:
        """Add answers, by their questions' ids."""
        if not answers:
            return
        with self._lock:
            self._write(self._entries() | {id: {"answer": dict(answer)} for id, answer in answers.items()})

    def take(self, run_id: str) -> dict[str, Json]:
        """Return all answers, by their questions' ids, and record that a run has taken them."""
        with self._lock:
            entries = self._entries()
            if any(entry.get("run") is None for entry in entries.values()):
                self._write({id: {**entry, "run": run_id} for id, entry in entries.items()})
        return {id: entry["answer"] for id, entry in entries.items()}

    def begin(self, run_id: str) -> None:
        """Forget what runs before this one have taken."""
        with self._lock:
            entries = self._entries()
            left = {id: entry for id, entry in entries.items() if entry.get("run") in (None, run_id)}
            if len(left) < len(entries):
                self._write(left)

    def _entries(self) -> dict[str, dict[str, Json]]:
        found = self._slots.get(SLOT)
        return dict(found) if isinstance(found, dict) else {}

    def _write(self, entries: dict[str, dict[str, Json]]) -> None:
        if entries:
            self._slots[SLOT] = entries
        elif SLOT in self._slots:
            del self._slots[SLOT]
