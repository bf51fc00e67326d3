"""State deltas as RFC 6902: changes are held back, so that many become one patch.

JSON Patch cannot append to a text, so each change repeats the whole text. Several changes of one path that are held
together become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast_agents import Json, operations

__all__ = ["StateDeltas"]


class StateDeltas:
    """A client's copy of a state, and the changes since.

    Args:
        state: The state as the client has it.
    """

    __slots__ = ("_changes", "_state")

    def __init__(self, state: Json) -> None:
        self._state = state
        self._changes: list[tuple[tuple[str, ...], Json, list[str]]] = []  #: path, value, or pieces of text

    @property
    def state(self) -> Json:
        """The state that the client has."""
        return self._state

    @property
    def held(self) -> bool:
        """Whether there are held changes."""
        return bool(self._changes)

    def replace(self, state: Json) -> None:
        """Record that the client receives the whole state."""
        self._state = state
        self._changes = []

    def hold(self, changed: Sequence[operations.Operation]) -> None:
        """Hold back changes."""
        for operation in changed:
            if isinstance(operation, operations.Set):
                self._changes.append((operation.path, operation.value, []))
            elif self._changes and self._changes[-1][2] and self._changes[-1][0] == operation.path:
                self._changes[-1][2].append(operation.value)
            else:
                self._changes.append((operation.path, None, [operation.value]))

    def release(self) -> list[dict[str, Any]]:
        """Return the held changes as one patch; an empty one if they cancel out."""
        after = operations.apply(self._state, map(_operation, self._changes))
        touched = {path for path, _, _ in self._changes}
        patch: list[dict[str, Any]] = []
        before = self._state
        for path in dict.fromkeys(path for path, _, _ in self._changes):
            if any(path[:length] in touched for length in range(len(path))):
                continue  # a container above it is replaced whole
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
