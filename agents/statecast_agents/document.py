"""The state of a thread: a tracked JSON value, and the operations its last mutations amount to.

Mutations leave slots behind, `(node, key, delta)`; `flush` turns them into the smallest operations that bring a client
from the last flush to now. A slot without a delta is a `set`, encoded from the value in place at the flush, so any
number of mutations beneath it are part of it already and are dropped, as are those of nodes that left the state.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from .errors import OperationError
from .moves import Fence, Moves, part_with
from .operations import AppendText, Operation, check_path, keys_of
from .size_budget import ESCAPED, grown
from .surrogates import Halves, check_text
from .tracked import NODES, Node, TrackedDict, TrackedList, adopt, index_in, own, thaw
from .values import Json

__all__ = ["Document", "to_json"]

#: Slots kept before they are merged without waiting for the flush; bounds what one long turn can pile up.
MERGE_AT: Final = 65_536

#: Bytes of operations past which the whole state takes their place where it is shorter: a frame is no longer than that.
LONG: Final = 2**20

_SET: Final = b'{"type":"set","path":['
_APPEND: Final = b'{"type":"append-text","path":['
_VALUE: Final = b'],"value":'

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_Slot = tuple[Any, str | int | None, str | None]


class Document:
    """A JSON value that can be mutated as plain Python, and the operations that made it.

    Args:
        value: What the state holds at first; copied, as every assigned value is.
        wake: Called, from whichever thread mutates, when there is something to flush and there was nothing before.

    Raises:
        NotJson: `value` is not something a state can hold.
    """

    __slots__ = (
        "_cache",
        "_decoded",
        "_halves",
        "_has_copies",
        "_lock",
        "_merge_at",
        "_pending",
        "_resting",
        "_root",
        "delta",
        "grew_at",
        "left",
        "limit",
        "lock",
        "moves",
        "version",
        "wake",
    )

    def __init__(self, value: Json = None, *, wake: Callable[[], None] | None = None) -> None:
        self._lock = threading.RLock()
        #: held during every mutation; hold it to read consistently from another thread. Who would take it once the
        #: document has ended is refused.
        self.lock: Any = self._lock
        self.moves: Moves | None = None  #: what the assignment under way moves
        self._has_copies = False  #: whether a part of the state was ever assigned to a second place
        self.limit: int | None = None  #: bytes that the state may have as JSON, see `size_budget.py`
        self.left: float = math.inf  #: bytes that it may surely grow by before it is measured again
        self.version = 0  #: grows whenever the path of some node may have changed
        self.wake = wake
        #: where a text grew, if the last flush found nothing else: the operation, up to its value. The same object as
        #: before means the same text, in the same place; while nothing else happens, it is the same.
        self.grew_at: bytes | None = None
        self.delta = b""  #: by what the text grew, as a JSON string
        self._pending: list[_Slot] = []
        self._merge_at = MERGE_AT
        self._cache: Any = None
        self._halves: Halves | None = None  #: made for the first text that ends in one
        self._decoded: Json = None  #: a container that is yet to become the root, see `adopting`
        self._resting: bytes | None = None  #: the state as JSON, while nobody looks at it, see `rest`
        self._root: Json = own(value, self, self, None)

    @classmethod
    def adopting(cls, value: Json, text: bytes = b"") -> Document:
        """Make a document of a value that comes straight from the JSON decoder, and was checked; it is not copied.

        What is tracked is made of it when the state is first looked at, so that adopting a large one costs little.

        Args:
            value: What was decoded.
            text: What it was decoded from, if that may be kept as it is: it rests then.
        """
        document = cls()
        if text:
            document._resting = text
        elif isinstance(value, (dict, list)):
            document._decoded = value
        else:
            document._root = value
        return document

    @property
    def root(self) -> Json:
        """The state itself: a tracked dict or list, or a scalar. Assigning replaces it whole.

        Raises:
            NotJson: The assigned value is not something a state can hold; the state is unchanged.
        """
        if self._decoded is not None or self._resting is not None:
            self._track()
        return self._root

    @root.setter
    def root(self, value: Json) -> None:
        with self.lock:
            old = self.root
            if value is old:
                return
            if type(value) is str and type(old) is str and value.startswith(old):
                self.append_text(value[len(old) :])
                return
            value = own(value, self, self, None, (id(old),))
            self.drop(old, self)
            self._root = value
            self.note(self, None, None)

    def append_text(self, delta: str, path: Sequence[str | int] = ()) -> None:
        """Grow the text at `path`; costs what `delta` costs, however long the text is.

        Raises:
            OperationError: There is no text there.
            NotJson: `delta` holds a lone surrogate; a first half at its end waits for the other one, see `surrogates.py`.
            TypeError: `delta` is not a str.
        """
        with self.lock:
            if path:
                self._append_text_at(path, delta)
                return
            if type(self.root) is not str:
                raise OperationError(f"expected the state to be a text, got {type(self.root).__name__}")
            delta = self.joined(self, None, len(self.root), check_text(delta))
            self._root = self.root + delta
            if delta:
                self.note(self, None, delta)

    def bound(self, limit: int) -> int:
        """Let the state have so many bytes as JSON, and refuse to grow beyond with `StateTooLarge`; return its size."""
        with self._lock:
            size = len(self.encode())
            self.limit, self.left = limit, limit - size
            return size

    def has_room(self, more: int) -> bool:
        """Return whether the state may grow by so many bytes. It is measured only if the count says that it may not."""
        with self._lock:
            if self.limit is not None and self.left < more:
                self.left = self.limit - len(self.encode())
            return self.left >= more

    def shorten(self, size: int) -> None:
        """Take back by how many characters a state that is a text grew last."""
        self._root = self._root[:-size]

    def joined(self, node: object, key: str | int | None, size: int, delta: str) -> str:
        """Return by what a text of `size` characters at `key` of `node` grows, with split characters joined.

        Raises:
            NotJson: `delta` holds a lone surrogate.
        """
        if delta.isascii():
            return delta
        try:
            delta.encode()
            return delta
        except UnicodeEncodeError:
            if self._halves is None:
                self._halves = Halves()
            return self._halves.join(node, key, size, delta)

    def apply(self, operation: Operation) -> None:
        """Apply an operation in place, as a strict client does.

        Raises:
            OperationError: It does not fit; the state is unchanged.
            NotJson: Its value is not something a state can hold; the state is unchanged.
        """
        with self.lock:
            if isinstance(operation, AppendText):
                self.append_text(operation.value, keys_of(self.root, operation.path))
            elif not operation.path:
                self.root = operation.value
            else:
                check_path(self.root, operation.path)
                keys = keys_of(self.root, operation.path)
                at, depth, value = self.root, 0, operation.value
                while depth < len(keys) - 1 and _holds(at, keys[depth]) and at[keys[depth]] is not None:
                    at, depth = at[keys[depth]], depth + 1
                for segment in reversed(operation.path[depth + 1 :]):  # missing parents come with it, all or none
                    value = {segment: value}
                if at is None:
                    self.root = {operation.path[0]: value}
                else:
                    _put(at, keys[depth], value)

    def rest(self) -> bytes:
        """Keep the state as JSON until it is looked at again, and return that. Flush first.

        A resting state takes a tenth of the memory. Nodes that someone still holds are no part of it any more.
        """
        with self._lock:
            if self._resting is None:
                self._resting = self.encode()
                self._take_apart()
            return self._resting

    def end(self, refusal: Callable[[], Exception]) -> bytes:
        """Refuse every change from now on, also through nodes taken before, and return the state as JSON. Flush first.

        The state can still be read.

        Args:
            refusal: Makes the error that is raised at a line that writes.
        """
        with self._lock:
            text = self.rest()
            self.wake = None
            self.lock = Fence(refusal)
            self._pending = self.lock  # who waits for the lock at this moment gets it, and comes no further than here
            return text

    @property
    def ended(self) -> bool:
        """Whether it refuses every change."""
        return self.lock is not self._lock

    @property
    def tracked(self) -> bool:
        """Whether looking at the state costs nothing; else see `prepare`."""
        return self._resting is None and self._decoded is None

    def prepare(self) -> None:
        """Make what is tracked of a state that rests, or was adopted. From any thread, and nobody waits meanwhile."""
        text, decoded = self._resting, self._decoded
        value = _decode(text) if text is not None else decoded
        root = adopt(value, self, self, None) if isinstance(value, (dict, list)) else value
        with self._lock:  # its run may have ended meanwhile, which refuses writes only
            if not self.tracked and self._resting is text and self._decoded is decoded:  # else it is no longer that
                self._root, self._resting, self._decoded = root, None, None

    def _take_apart(self) -> None:
        """Take the state apart, so that it is freed at once rather than by the garbage collector."""
        self.version += 1
        nodes: list[Any] = [self._root] if type(self._root) in NODES else []
        self._root = self._decoded = self._halves = None
        while nodes:
            node = nodes.pop()
            node._parent = None
            nodes += [item for item in (node.values() if type(node) is TrackedDict else node) if type(item) in NODES]

    def _track(self) -> None:
        with self._lock:
            if self._resting is not None:
                self._decoded, self._resting = _decode(self._resting), None
                if not isinstance(self._decoded, (dict, list)):
                    self._root, self._decoded = self._decoded, None
            decoded, self._decoded = self._decoded, None
            if decoded is not None:
                self._root = adopt(decoded, self, self, None)

    def _append_text_at(self, path: Sequence[str | int], delta: str) -> None:
        at = self.root
        for key in path[:-1]:
            at = at[key] if isinstance(key, (str, int)) and _holds(at, key) else None
        match at, path[-1]:
            case TrackedDict() as branch, str(key):
                branch.append_text(key, delta)
            case TrackedList() as row, int(index):
                row.append_text(index, delta)
            case _:
                raise OperationError(f"expected a text at {'/'.join(map(str, path))!r}, got nothing there")

    def encode(self) -> bytes:
        """Return the state as JSON. Flush first where it must match a revision."""
        with self._lock:
            if self._resting is not None:
                return self._resting
            return _encode(self._root if self._decoded is None else self._decoded)

    def flush(self) -> bytes:
        """Return the operations since the last flush as a JSON array, `b""` when there are none."""
        with self._lock:
            pending = self._pending
            if len(pending) > 1:
                pending = self._pending = _merge(pending)
                self._merge_at = MERGE_AT
            if self.grew_at is not None:
                self.grew_at, self.delta = None, b""
            if len(pending) == 1:
                node, key, delta = pending[0]
                pending.clear()
                cache = node._cache
                if cache is None or cache[0] != self.version:
                    path = self._path_to(node, set(), {})
                    if path is None:
                        return b""
                    cache = node._cache = (self.version, path, key, delta is None, _head(path, key, delta is None))
                elif cache[2] != key or cache[3] is not (delta is None):
                    path = cache[1]
                    cache = node._cache = (self.version, path, key, delta is None, _head(path, key, delta is None))
                if delta is None:
                    return b"[%b%b}]" % (cache[4], _encode(node._root if node is self else node[key]))
                self.grew_at = head = cache[4]
                self.delta = value = _encode(delta)
                return b"[%b%b}]" % (head, value)
            if not pending:
                return b""
            self._pending = []
            operations = self._encode_slots(pending)
            if len(operations) > LONG and len(operations) > len(state := self.encode()):
                return b"[%b%b}]" % (_head(b"", None, True), state)
            return operations

    def note(self, node: Any, key: str | int | None, delta: str | None) -> None:
        """Remember that the value at `key` of `node` changed, or grew by `delta`. The caller holds the lock.

        Raises:
            StateTooLarge: It grew, and the state is larger than its limit now; the text is put back.
        """
        if delta is not None:
            self.left -= ESCAPED * len(delta)
            if self.left < 0:
                grown(self, node, key, delta)
        pending = self._pending
        size = len(pending)
        pending.append((node, key, delta))
        if size == 0:
            if self.wake is not None:
                self.wake()
        elif size >= self._merge_at:
            self._pending = _merge(pending)
            self._merge_at = max(MERGE_AT, 2 * len(self._pending))  # slots that are all different do not shrink

    def drop(self, value: Json, parent: Any, key: str | None = None) -> None:
        """Let `value` leave the tree, unless it has moved from its place in `parent`, at `key` if that is a dict."""
        if type(value) in NODES and value._parent is parent and (key is None or value._key == key):
            value._parent = None
            self.version += 1
            if self._has_copies:
                part_with(value)

    def move(self) -> None:
        """Let the nodes that the assignment under way moves arrive where they belong."""
        moves, self.moves = self.moves, None
        if moves is not None:
            moves.commit()
            self._has_copies = self._has_copies or bool(moves.copies)

    def lost(self, node: Node, *values: Json) -> None:
        """Note that `node` lost `values`: clients know no removal, so the whole of it is set again."""
        for value in values:
            self.drop(value, node)
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
            value = delta if delta is not None else node._root if node is self else node[key]
            operations.append(b"%b%b}" % (_head(path, key, delta is None), _encode(value)))
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


def _holds(container: Json, key: str | int) -> bool:
    if isinstance(container, list):
        return isinstance(key, int) and -len(container) <= key < len(container)
    return isinstance(container, dict) and key in container


def _put(container: Json, key: str | int, value: Json) -> None:
    if isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value


def _step(path: bytes, key: str | int | None) -> bytes:
    if key is None:
        return path
    segment = b'"%d"' % key if isinstance(key, int) else _encode(key)
    return b"%b,%b" % (path, segment) if path else segment


def _head(path: bytes, key: str | int | None, is_set: bool) -> bytes:
    """Return an operation up to its value."""
    start = _SET if is_set else _APPEND
    if type(key) is int and path:
        return b'%b%b,"%d"%b' % (start, path, key, _VALUE)
    return b"%b%b%b" % (start, _step(path, key), _VALUE)


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
