"""The state of a thread: a tracked JSON value, and the operations its last mutations amount to.

Mutations leave slots behind, `(node, key, delta)`; `flush` turns them into the smallest operations that bring a client
from the last flush to now. A slot without a delta is a `set`, encoded from the value in place at the flush, so any
number of mutations beneath it are part of it already and are dropped, as are those of nodes that left the state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from .errors import OperationError
from .tracked import NODES, Node, TrackedList, adopt, index_in, own, thaw
from .values import Json, check_scalar

__all__ = ["Document", "to_json"]

#: Slots kept before they are merged without waiting for the flush; bounds what one long turn can pile up.
MERGE_AT: Final = 65_536

_SET: Final = b'{"type":"set","path":['
_APPEND: Final = b'{"type":"append-text","path":['
_VALUE: Final = b'],"value":'

_encode = msgspec.json.Encoder().encode
_Slot = tuple[Any, str | int | None, str | None]


class Document:
    """A JSON value that can be mutated as plain Python, and the operations that made it.

    Args:
        value: What the state holds at first; copied, as every assigned value is.
        wake: Called, from whichever thread mutates, when there is something to flush and there was nothing before.

    Raises:
        NotJson: `value` is not something a state can hold.
    """

    __slots__ = ("_cache", "_merge_at", "_pending", "_root", "lock", "version", "wake")

    def __init__(self, value: Json = None, *, wake: Callable[[], None] | None = None) -> None:
        self.lock = threading.RLock()  #: held during every mutation; hold it to read consistently from another thread
        self.version = 0  #: grows whenever the path of some node may have changed
        self.wake = wake
        self._pending: list[_Slot] = []
        self._merge_at = MERGE_AT
        self._cache: Any = None
        self._root: Json = own(value, self, self, None)

    @classmethod
    def adopting(cls, value: Json) -> Document:
        """Make a document of a value that comes straight from the JSON decoder and is checked; it is taken, not copied.

        Raises:
            NotJson: It nests deeper than a state may.
        """
        document = cls()
        document._root = adopt(value, document, document, None)
        return document

    @property
    def root(self) -> Json:
        """The state itself: a tracked dict or list, or a scalar. Assigning replaces it whole.

        Raises:
            NotJson: The assigned value is not something a state can hold; the state is unchanged.
        """
        return self._root

    @root.setter
    def root(self, value: Json) -> None:
        with self.lock:
            old = self._root
            if value is old:
                return
            if type(value) is str and type(old) is str and value.startswith(old):
                self.append_text(value[len(old) :])
                return
            value = own(value, self, self, None)
            self.drop(old)
            self._root = value
            self.note(self, None, None)

    def append_text(self, delta: str) -> None:
        """Grow a state that is a single text.

        Raises:
            OperationError: The state is not a text.
            NotJson: `delta` holds a lone surrogate.
        """
        with self.lock:
            if type(self._root) is not str:
                raise OperationError(f"expected the state to be a text, got {type(self._root).__name__}")
            check_scalar(delta)
            self._root += delta
            if delta:
                self.note(self, None, delta)

    def encode(self) -> bytes:
        """Return the state as JSON. Flush first where it must match a revision."""
        with self.lock:
            return _encode(self._root)

    def flush(self) -> bytes:
        """Return the operations since the last flush as a JSON array, `b""` when there are none."""
        with self.lock:
            pending = self._pending
            if len(pending) == 1:
                node, key, delta = pending[0]
                pending.clear()
                cache = node._cache
                if cache is None or cache[1] != key or cache[0] != self.version:
                    path = self._path_to(node, set(), {})
                    if path is None:
                        return b""
                    cache = node._cache = _heads(self.version, path, key)
                if delta is None:
                    return b"[%b%b}]" % (cache[3], _encode(node._root if node is self else node[key]))
                return b"[%b%b}]" % (cache[2], _encode(delta))
            if not pending:
                return b""
            self._pending = []
            self._merge_at = MERGE_AT
            return self._encode_slots(_merge(pending))

    def note(self, node: Any, key: str | int | None, delta: str | None) -> None:
        """Remember that the value at `key` of `node` changed, or grew by `delta`. The caller holds the lock."""
        pending = self._pending
        size = len(pending)
        pending.append((node, key, delta))
        if size == 0:
            if self.wake is not None:
                self.wake()
        elif size >= self._merge_at:
            self._pending = _merge(pending)
            self._merge_at = max(MERGE_AT, 2 * len(self._pending))  # slots that are all different do not shrink

    def drop(self, value: Json) -> None:
        """Let `value` leave the tree."""
        if type(value) in NODES:
            value._parent = None
            self.version += 1

    def lost(self, node: Node, *values: Json) -> None:
        """Note that `node` lost `values`: clients know no removal, so the whole of it is set again."""
        for value in values:
            self.drop(value)
        self.version += 1
        self._whole(node)

    def shifted(self, items: TrackedList, start: int) -> None:
        """Note that a list grew somewhere, and everything from `start` moved up."""
        self.version += 1
        size = len(items)
        if start and size - start <= size // 2:
            for index in range(start, size):
                self.note(items, index, None)
        else:
            self._whole(items)

    def rearranged(self, items: TrackedList, before: list[Json]) -> None:
        """Note what differs between a list and what it held `before`."""
        old = len(before)
        changed = [index for index, item in enumerate(items) if index >= old or item is not before[index]]
        if not changed and len(items) == old:
            return
        self.version += 1
        if len(items) < old or len(changed) > len(items) // 2:
            self._whole(items)
        else:
            for index in changed:
                self.note(items, index, None)

    def _whole(self, node: Node) -> None:
        parent = node._parent
        if parent is not None:
            self.note(parent, index_in(parent, node) if type(parent) is TrackedList else node._key, None)

    def _encode_slots(self, slots: list[_Slot]) -> bytes:
        sets = {(id(node), key) for node, key, delta in slots if delta is None}
        paths: dict[int, bytes | None] = {}
        operations = []
        for node, key, delta in slots:
            path = self._path_to(node, sets, paths)
            if path is None:
                continue
            cache = _heads(self.version, path, key)
            if delta is None:
                operations.append(b"%b%b}" % (cache[3], _encode(node._root if node is self else node[key])))
            else:
                operations.append(b"%b%b}" % (cache[2], _encode(delta)))
        return b"[%b]" % b",".join(operations) if operations else b""

    def _path_to(self, node: Any, sets: set[tuple[int, Any]], known: dict[int, bytes | None]) -> bytes | None:
        """Return the encoded segments that lead to `node`; None when it left the state or is part of one of `sets`."""
        if node is self:
            return b""
        if id(node) in known:
            return known[id(node)]
        parent = node._parent
        path: bytes | None = None
        if parent is not None:
            key = index_in(parent, node) if type(parent) is TrackedList else node._key
            if (id(parent), key) not in sets:
                above = self._path_to(parent, sets, known)
                path = None if above is None else _step(above, key)
        known[id(node)] = path
        return path


def to_json(value: Json) -> Json:
    """Return `value` as plain JSON, converted and checked as if it were assigned to a state.

    Raises:
        NotJson: It is not something a state can hold.
    """
    return thaw(Document(value).root)


def _step(path: bytes, key: str | int | None) -> bytes:
    if key is None:
        return path
    segment = b'"%d"' % key if isinstance(key, int) else _encode(key)
    return b"%b,%b" % (path, segment) if path else segment


def _heads(version: int, path: bytes, key: str | int | None) -> tuple[int, str | int | None, bytes, bytes]:
    full = _step(path, key)
    return version, key, b"%b%b%b" % (_APPEND, full, _VALUE), b"%b%b%b" % (_SET, full, _VALUE)


def _merge(pending: list[_Slot]) -> list[_Slot]:
    """Return each slot once: as a set if it was ever set, else with all its deltas joined."""
    deltas: dict[tuple[int, Any], list[str] | None] = {}
    nodes: dict[tuple[int, Any], Any] = {}
    for node, key, delta in pending:
        slot = (id(node), key)
        if slot not in deltas:
            nodes[slot] = node
            deltas[slot] = None if delta is None else [delta]
        elif delta is None:
            deltas[slot] = None
        else:
            grown = deltas[slot]
            if grown is not None:
                grown.append(delta)
    return [(nodes[slot], slot[1], None if grown is None else "".join(grown)) for slot, grown in deltas.items()]
