"""The size limit of a state.

A limited state sums up an upper estimate of the assigned values. Within `NEAR` bytes of the limit it counts exactly
instead: the size of the new value, less that of the old one. The state itself is measured only if that count reaches
the limit and may be too high. So a change costs only what it changes, however full the state is.
A value that does not fit is refused before anything changes. So nothing of it reaches the log, and every frame with the
whole state stays within the clients' limit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from .errors import StateTooLarge
from .values import Json

__all__ = ["ESCAPED", "NEAR", "SCALAR", "SizeBudget"]

ESCAPED: Final = 6  #: bytes of JSON that one character takes at most, as `\u0000` does
SCALAR: Final = 32  #: bytes that a number takes at most, and what stands around any value

#: Bytes below the limit in which changes are counted exactly. A state of 10 MB is measured in 10 ms, so that measuring
#: it once for so many bytes of growth costs less than a microsecond for each word.
NEAR: Final = 65_536

_encode: Final = msgspec.json.Encoder().encode


class SizeBudget:
    """A JSON value with a limit on its size. `Document` extends it."""

    __slots__ = ("_lock", "_root", "left", "limit", "loose")

    root: Json  #: the state, none of it JSON text any more

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._root: Json = None
        self.limit: int | None = None  #: bytes that the state may have as JSON; None: any number
        self.left: float = math.inf  #: bytes that it may grow by before changes are counted exactly
        self.loose = True  #: whether the state may be smaller than counted: something was estimated, or removed

    def encode(self) -> bytes:
        """Return the state as JSON. Flush first where it must match a revision."""
        return _encode(self._root)

    def bound(self, limit: int) -> int:
        """Limit the state to so many bytes as JSON, beyond which changes raise `StateTooLarge`; return its size."""
        with self._lock:
            size = len(self.encode())
            self.limit = limit
            self.left, self.loose = limit - size - NEAR, True  # a client's own text may be longer than what we write
            return size

    def has_room(self, more: int) -> bool:
        """Return whether the state may grow by so many bytes; measures it only if the count says no."""
        with self._lock:
            if self.left + NEAR < more and self.loose:
                self._measure()
            return self.left + NEAR >= more

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
        estimate = sum(map(_most, values)) + sum(ESCAPED * len(key) for key in keys if type(key) is str)
        self.left -= estimate
        if self.left < 0:
            self.count(estimate, values, keys, parent, leaving)

    def count(
        self, estimate: int, values: Collection[Json], keys: Sequence[Any], parent: Any, leaving: Collection[int]
    ) -> None:
        """Count exactly what `reserve` has estimated, since the state is near its limit.

        Raises:
            StateTooLarge: The state would grow beyond its limit.
        """
        replaced, around = ([self._root], 0) if parent is self else _around(parent, keys, leaving)
        growth = sum(len(_encode(value)) for value in values) - sum(len(_encode(item)) for item in replaced)
        self.grow(estimate, growth + around)

    def grow(self, estimate: int, growth: int, *, has_grown: bool = False) -> None:
        """Put the bytes that the state grows by in the place of their estimate.

        Args:
            estimate: What was taken from `left`.
            growth: The exact number.
            has_grown: Whether they are in the state already.

        Raises:
            StateTooLarge: The state would grow beyond its limit.
        """
        assert self.limit is not None, "only a bounded state counts"
        self.left += estimate
        if growth > max(0, self.left + NEAR) and self.loose:
            self._measure()
            self.left += growth if has_grown else 0
        room = int(self.left) + NEAR
        if growth > max(0, room):  # a state from before the limit may shrink towards it
            raise StateTooLarge(self.limit - room + growth, self.limit)
        self.left -= growth
        self.loose = self.loose or self.left >= 0  # from here on it is estimated

    def check_growth(self, node: Any, key: Any, delta: str) -> None:
        """Count the text at `key` of `node` exactly, which grew by `delta`; undo that if the state is too large.

        Raises:
            StateTooLarge: It is; the text is as it was.
        """
        try:
            self.grow(ESCAPED * len(delta), len(_encode(delta)) - 2, has_grown=True)
        except StateTooLarge:
            if node is self:
                self._root = self._root[: -len(delta)]
            else:
                kind: Any = dict if isinstance(node, dict) else list
                kind.__setitem__(node, key, node[key][: -len(delta)])
            raise

    def _measure(self) -> None:
        assert self.limit is not None, "only a bounded state is measured"
        self.left = self.limit - len(_encode(self.root)) - NEAR
        self.loose = self.left >= 0


def _around(parent: Any, keys: Sequence[Any], leaving: Collection[int]) -> tuple[list[Json], int]:
    """Return the items of `parent` that are replaced, and how many bytes the keys and commas of the new items take."""
    if isinstance(parent, dict):
        new = [key for key in keys if key not in parent]
        around = sum(len(_encode(key)) + 2 for key in new) - (1 if new and not parent else 0)
        return [dict.__getitem__(parent, key) for key in keys if key in parent], around
    replaced = [item for item in list.__iter__(parent) if id(item) in leaving] if leaving else []
    if len(keys) == 1:
        del replaced[1:]  # one is replaced by one; others with its id are equal to it
    return replaced, max(0, len(keys) - len(replaced)) - (0 if parent else 1)


def _most(value: Json) -> int:
    """Return an upper estimate of the bytes that a value takes in a container."""
    if isinstance(value, (dict, list)):
        return len(_encode(value)) + SCALAR
    return ESCAPED * len(value) + SCALAR if isinstance(value, str) else SCALAR
