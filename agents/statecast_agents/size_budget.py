"""The size limit of a state.

A bounded state adds up an upper estimate of what is assigned to it, and is measured only when that estimate reaches the
limit. A value that does not fit is refused before anything changes, so that nothing of it reaches the log, and every
frame with the whole state stays within the clients' limit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from .errors import StateTooLarge
from .values import Json

__all__ = ["ESCAPED", "SCALAR", "SizeBudget"]

ESCAPED: Final = 6  #: bytes of JSON that one character takes at most, as `\u0000` does
SCALAR: Final = 32  #: bytes that a number takes at most, and what stands around any value

_encode: Final = msgspec.json.Encoder().encode


class SizeBudget:
    """A JSON value with a limit on its size. `Document` extends it."""

    __slots__ = ("_lock", "_root", "left", "limit")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._root: Json = None
        self.limit: int | None = None  #: bytes that the state may have as JSON; None: any number
        self.left: float = math.inf  #: bytes that it may grow by before it has to be measured again

    def encode(self) -> bytes:
        """Return the state as JSON. Flush first where it must match a revision."""
        return _encode(self._root)

    def bound(self, limit: int) -> int:
        """Limit the state to so many bytes as JSON, beyond which changes raise `StateTooLarge`; return its size."""
        with self._lock:
            size = len(self.encode())
            self.limit, self.left = limit, limit - size
            return size

    def has_room(self, more: int) -> bool:
        """Return whether the state may grow by so many bytes; measures it only if the estimate says no."""
        with self._lock:
            if self.limit is not None and self.left < more:
                self.left = self.limit - len(self.encode())
            return self.left >= more

    def reserve(self, values: Collection[Json], keys: Sequence[Any], parent: Any, leaving: Collection[int]) -> None:
        """Reserve the bytes of values that are about to be assigned below `parent`.

        Args:
            values: As the state keeps them, and not in it yet.
            keys: Where each belongs: keys of a dict, or indexes.
            parent: The node or document they belong in.
            leaving: The ids of what they replace there; none if they only come in addition.

        Raises:
            StateTooLarge: The state would grow beyond its limit.
        """
        self.left -= sum(map(_most, values)) + sum(ESCAPED * len(key) for key in keys if type(key) is str)
        if self.left < 0:
            now = len(self.encode())
            replaced, around = ([self._root], 0) if parent is self else _around(parent, keys, leaving)
            growth = sum(len(_encode(value)) for value in values) - sum(len(_encode(item)) for item in replaced)
            self._measured(now, now + growth + around)

    def reserve_for(self, size: int) -> None:
        """Reserve the bytes of a change after which the state has `size` bytes as JSON.

        Raises:
            StateTooLarge: That is more than its limit.
        """
        self._measured(len(self.encode()), size)

    def check_growth(self, node: Any, key: Any, delta: str) -> None:
        """Measure the state after the text at `key` of `node` grew by `delta`; undo that if the state is too large.

        Raises:
            StateTooLarge: It is; the text is as it was.
        """
        size = len(self.encode())
        try:
            self._measured(size - len(delta), size)
        except StateTooLarge:
            if node is self:
                self._root = self._root[: -len(delta)]
            else:
                kind: Any = dict if isinstance(node, dict) else list
                kind.__setitem__(node, key, node[key][: -len(delta)])
            raise

    def _measured(self, now: int, after: int) -> None:
        assert self.limit is not None, "only a bounded state counts"
        if after > self.limit and after > now:  # a state from before the limit may shrink towards it
            raise StateTooLarge(after, self.limit)
        self.left = self.limit - after


def _around(parent: Json, keys: Sequence[Any], leaving: Collection[int]) -> tuple[list[Json], int]:
    """Return the items of `parent` that are replaced, and how many bytes the keys and commas of the new items take."""
    if isinstance(parent, dict):
        new = [key for key in keys if key not in parent]
        around = sum(len(_encode(key)) + 2 for key in new) - (1 if new and not parent else 0)
        return [parent[key] for key in keys if key in parent], around
    replaced = [item for item in parent if id(item) in leaving] if leaving else []
    if len(keys) == 1:
        del replaced[1:]  # one is replaced by one; others with its id are equal to it
    return replaced, max(0, len(keys) - len(replaced)) - (0 if parent else 1)


def _most(value: Json) -> int:
    """Return an upper estimate of the bytes that a value takes in a container."""
    if isinstance(value, (dict, list)):
        return len(_encode(value)) + SCALAR
    return ESCAPED * len(value) + SCALAR if isinstance(value, str) else SCALAR
