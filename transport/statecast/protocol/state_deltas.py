"""State deltas as RFC 6902, for clients that are told how a state changed: held back, so that many become one.

JSON Patch cannot append to a text, so each change of one repeats it whole. What happens to a path while changes are
held is told once, as what it came to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast_agents import Json, operations

__all__ = ["StateDeltas"]


class StateDeltas:
    """What a client has of a state, and what has happened to it since.

    Args:
        state: The state as the client has it.
    """

    __slots__ = ("_changes", "_state")

    def __init__(self, state: Json) -> None:
        self._state = state
        self._changes: list[tuple[tuple[str, ...], Json, list[str]]] = []  #: path, value, or pieces of text

    @property
    def state(self) -> Json:
        """The state as the client has it."""
        return self._state

    @property
    def held(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._changes)

    def replace(self, state: Json) -> None:
        """Note that the client is told the whole state."""
        self._state = state
        self._changes = []

    def note(self, changed: Sequence[operations.Operation]) -> None:
        """Hold changes."""
        for operation in changed:
            if isinstance(operation, operations.Set):
                self._changes.append((operation.path, operation.value, []))
            elif self._changes and self._changes[-1][2] and self._changes[-1][0] == operation.path:
                self._changes[-1][2].append(operation.value)
            else:
                self._changes.append((operation.path, None, [operation.value]))

    def release(self) -> list[dict[str, Any]]:
        """Return what has happened as one patch; none where it came to nothing."""
        after = operations.apply(self._state, map(_operation, self._changes))
        touched = {path for path, _, _ in self._changes}
        patch: list[dict[str, Any]] = []
        before = self._state
        for path in dict.fromkeys(path for path, _, _ in self._changes):
            if any(path[:length] in touched for length in range(len(path))):
                continue  # what is above it is told whole
            change = operations.Set(path, _at(after, path))
            patch += operations.to_json_patch(before, [change])
            before = operations.apply(before, [change])
        self.replace(after)
        return patch


def _operation(change: tuple[tuple[str, ...], Json, list[str]]) -> operations.Operation:
    path, value, pieces = change
    return operations.AppendText(path, "".join(pieces)) if pieces else operations.Set(path, value)


def _at(state: Json, path: Sequence[str]) -> Json:
    for segment in path:
        state = state[int(segment)] if isinstance(state, list) else state[segment]
    return state
