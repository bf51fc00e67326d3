"""Record the changes to a state between two flushes, and encode them as operations.

Mutations record slots, `(node, key, delta)`. `flush` turns them into the smallest operations that take a client from
the last flush to the current state. A slot without a delta becomes a `set` with the value in place at the flush. It
includes all mutations beneath it, so their slots are dropped, as are those of nodes that left the state.

Rule 1: nodes (`tracked.py`) know this module. It knows only what both kinds of nodes have: `_parent`, `_key` and
`_cache`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import msgspec

from .moves import Moves, refuse_writes
from .size_budget import ESCAPED, SizeBudget
from .surrogates import PendingSurrogates
from .values import Json

__all__ = ["ChangeRecorder", "Changes"]

#: Slots kept before they are merged without waiting for the flush; bounds what one long turn can pile up.
MERGE_AT: Final = 65_536

#: Bytes of operations past which the whole state takes their place where it is shorter: a frame is no longer than that.
LONG: Final = 2**20

_SET: Final = b'{"type":"set","path":['
_APPEND: Final = b'{"type":"append-text","path":['
_VALUE: Final = b'],"value":'

_encode = msgspec.json.Encoder().encode
_Slot = tuple[Any, str | int | None, str | None]


class Changes(msgspec.Struct, frozen=True, gc=False):
    """What a flush returns."""

    operations: bytes  #: since the last flush, as a JSON array; `b""` when there are none
    #: if one text grew and nothing else changed: the operation, up to its value. As long as the same text grows, every
    #: flush returns the same object.
    grew_at: bytes | None = None
    delta: bytes = b""  #: what was appended to that text, as a JSON string


_NOTHING: Final = Changes(b"")


class ChangeRecorder(SizeBudget, ABC):
    """Record the slots that mutations touch, and encode them as operations. `Document` extends it."""

    __slots__ = (
        "_cache",
        "_has_copies",
        "_merge_at",
        "_pending",
        "_surrogates",
        "lock",
        "moves",
        "version",
        "wake",
    )

    def __init__(self, wake: Callable[[], None] | None) -> None:
        super().__init__()
        #: held during every mutation; hold it to read consistently from another thread. Once the document has ended,
        #: taking it raises.
        self.lock: Any = self._lock
        self.moves: Moves | None = None  #: the nodes that the current assignment moves
        self._has_copies = False  #: whether a part of the state was ever assigned to a second place
        self.version = 0  #: grows whenever the path of some node may have changed
        self.wake = wake
        self._pending: list[_Slot] = []
        self._merge_at = MERGE_AT
        self._cache: Any = None
        self._surrogates: PendingSurrogates | None = None  #: made for the first text that ends in one

    @abstractmethod
    def own(self, value: Json, parent: Any, key: str | int | None, leaving: Collection[int] = ()) -> Json:
        """Return `value` as the state keeps it: scalars checked, containers copied into nodes under `parent`.

        Nodes of this state that are in none of its places any more, or leave with those in `leaving` (their ids), are
        not copied but moved.

        Raises:
            NotJson: See `values.py`; also containers nested deeper than `MAX_DEPTH`, a cycle among them.
            StateTooLarge: The state would grow beyond its limit.
        """

    @abstractmethod
    def own_all(
        self, values: Collection[Json], parent: Any, keys: Sequence[str | int], leaving: Collection[int]
    ) -> list[Json]:
        """Return all of `values` as the state keeps them, or refuse all. Nodes among them move at `commit_moves`."""

    def flush(self) -> Changes:
        """Return what has changed since the last flush."""
        with self._lock:
            pending = self._pending
            if len(pending) > 1:
                pending = self._pending = _merge(pending)
                self._merge_at = MERGE_AT
            if len(pending) == 1:
                node, key, delta = pending[0]
                pending.clear()
                cache = node._cache
                if cache is None or cache[0] != self.version:
                    self.note_change(node)
                    path = self._path_to(node, set(), {})
                    if path is None:
                        return _NOTHING
                    cache = node._cache = (self.version, path, key, delta is None, _head(path, key, delta is None))
                elif cache[2] != key or cache[3] is not (delta is None):
                    path = cache[1]
                    cache = node._cache = (self.version, path, key, delta is None, _head(path, key, delta is None))
                if delta is None:
                    return Changes(b"[%b%b}]" % (cache[4], _encode(node._root if node is self else node[key])))
                head, value = cache[4], _encode(delta)
                return Changes(b"".join((b"[", head, value, b"}]")), head, value)
            if not pending:
                return _NOTHING
            self._pending = []
            for node, _, _ in pending:
                self.note_change(node)
            operations = self._encode_slots(pending)
            if len(operations) > LONG and len(operations) > len(state := self.encode()):
                operations = b"[%b%b}]" % (_head(b"", None, True), state)
            return Changes(operations) if operations else _NOTHING

    def record(self, node: Any, key: str | int | None, delta: str | None) -> None:
        """Record that the value at `key` of `node` changed, or grew by `delta`. The caller holds the lock.

        Raises:
            StateTooLarge: It grew, and the state is larger than its limit now; the text is put back.
        """
        if delta is not None:
            self.left -= ESCAPED * len(delta)
            if self.left < 0:
                self.check_growth(node, key, delta)
        pending = self._pending
        size = len(pending)
        pending.append((node, key, delta))
        if size == 0:
            if self.wake is not None:
                self.wake()
        elif size >= self._merge_at:
            self._pending = _merge(pending)
            self._merge_at = max(MERGE_AT, 2 * len(self._pending))  # slots that are all different do not shrink

    def join_surrogates(self, node: object, key: str | int | None, size: int, delta: str) -> str:
        """Join the surrogates in `delta`; return what the text of `size` characters at `key` of `node` grows by.

        Raises:
            NotJson: `delta` holds a lone surrogate.
        """
        if delta.isascii():
            return delta
        try:
            delta.encode()
            return delta
        except UnicodeEncodeError:
            if self._surrogates is None:
                self._surrogates = PendingSurrogates()
            return self._surrogates.join(node, key, size, delta)

    def detach(self, value: Json, parent: Any, key: str | None = None) -> None:
        """Detach the node `value` from `parent`, unless it has moved elsewhere. In a dict, its place is `key`."""
        if getattr(value, "_parent", None) is parent and (key is None or value._key == key):
            value._parent = None
            self.version += 1
            if self._has_copies:
                refuse_writes(value)

    def commit_moves(self) -> None:
        """Move the nodes that the current assignment moves to their new places."""
        moves, self.moves = self.moves, None
        if moves is not None:
            moves.commit()
            self._has_copies = self._has_copies or bool(moves.copies)

    def record_removal(self, node: Any, *values: Json) -> None:
        """Record that `values` were removed from `node`. No operation removes, so the whole node is set again."""
        for value in values:
            self.detach(value, node)
        self.version += 1
        self.loose = True
        self._record_whole(node)

    def record_shift(self, items: list[Json], start: int) -> None:
        """Record that items of a list moved up, from index `start` on."""
        self.version += 1
        size = len(items)
        if start and size - start <= size // 2:
            for index in range(start, size):
                self.record(items, index, None)
        else:
            self._record_whole(items)

    def record_rearrangement(self, items: list[Json], before: list[Json]) -> None:
        """Record the differences between a list and its items `before`. Items that stayed are the same objects."""
        inside = set(map(id, list.__iter__(items)))
        for item in before:
            if id(item) not in inside:
                self.detach(item, items)
                self.loose = True
        old = len(before)
        changed = [
            index for index, item in enumerate(list.__iter__(items)) if index >= old or item is not before[index]
        ]
        if not changed and len(items) == old:
            return
        self.version += 1
        if len(items) < old or len(changed) > len(items) // 2:
            self._record_whole(items)
        else:
            for index in changed:
                self.record(items, index, None)

    def note_change(self, node: Any) -> None:
        """Note that a node is no longer what it was made of, nor are those it is in."""
        while node is not self and node is not None and node._origin is not None:
            node._origin = None
            node = node._parent

    def _record_whole(self, node: Any) -> None:
        node._origin = None  # the slot is its parent's
        parent = node._parent
        if parent is not None:
            self.record(parent, _index_in(parent, node) if isinstance(parent, list) else node._key, None)

    def _encode_slots(self, slots: list[_Slot]) -> bytes:
        sets = {(id(node), key) for node, key, delta in slots if delta is None}
        paths: dict[int, bytes | None] = {}
        pieces: list[bytes] = []
        for node, key, delta in slots:
            path = self._path_to(node, sets, paths)
            if path is None:
                continue
            value = delta if delta is not None else node._root if node is self else node[key]
            pieces += (b"}," if pieces else b"[", _head(path, key, delta is None), _encode(value))
        if pieces:
            pieces.append(b"}]")
        return b"".join(pieces)

    def _path_to(self, node: Any, sets: set[tuple[int, Any]], known: dict[int, bytes | None]) -> bytes | None:
        """Return the encoded path of `node`; None if it left the state or lies inside one of `sets`."""
        if node is self:
            return b""
        if id(node) in known:
            return known[id(node)]
        parent = node._parent
        path: bytes | None = None
        if parent is not None:
            key = _index_in(parent, node) if isinstance(parent, list) else node._key
            if (id(parent), key) not in sets:
                above = self._path_to(parent, sets, known)
                path = None if above is None else _step(above, key)
        known[id(node)] = path
        return path


def _index_in(parent: list[Json], node: Any) -> Any:
    """Return the index of `node` in `parent`, renumbering all of its nodes if `_key` is out of date."""
    index = node._key
    if index < len(parent) and list.__getitem__(parent, index) is node:
        return index
    for position, item in enumerate(list.__iter__(parent)):
        if getattr(item, "_parent", None) is parent:
            item._key = position
    return node._key


def _step(path: bytes, key: str | int | None) -> bytes:
    if key is None:
        return path
    segment = b'"%d"' % key if isinstance(key, int) else _encode(key)
    return b"%b,%b" % (path, segment) if path else segment


def _head(path: bytes, key: str | int | None, is_set: bool) -> bytes:
    """Return the beginning of an operation, up to its value."""
    start = _SET if is_set else _APPEND
    if type(key) is int and path:
        return b'%b%b,"%d"%b' % (start, path, key, _VALUE)
    return b"%b%b%b" % (start, _step(path, key), _VALUE)


def _merge(pending: list[_Slot]) -> list[_Slot]:
    """Merge slots: one for each place, a set if any of them was, else with all deltas joined."""
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
