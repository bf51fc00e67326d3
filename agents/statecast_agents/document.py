"""The state of a thread: a JSON value that can be mutated as plain Python.

A state has one of three forms: JSON text while the thread is idle, decoded until somebody reads it, and then nodes for
the parts that were read. Between two runs the decoded form stays in memory, and both runs share its unchanged parts.

A document consists of four classes, each of which extends the one before: `SizeBudget` limits its size,
`ChangeRecorder` records changes, `NodeFactory` creates nodes from assigned values, and `Document` holds the root.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from .errors import OperationError
from .lazy import SplitDict, node_of, plain_of, split_root
from .moves import Fence
from .operations import AppendText, Operation, Set, apply, check_path, diff, encode, keys_of
from .ownership import NodeFactory
from .pieces import LARGE, Pieces
from .surrogates import check_text
from .tracked import NODES, TrackedDict, TrackedList
from .values import Json, plain_copy

__all__ = ["Document", "to_json"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ABSENT: Final = object()

#: Bytes of a state beyond which only those keys of it are decoded that the engine looks at.
SPLIT: Final = 4_096


class Document(NodeFactory):
    """A JSON value that can be mutated as plain Python, and the operations that made it.

    Args:
        value: The first state; copied, like every assigned value.
        wake: Called when there is something to flush and there was nothing before, in the thread of the mutation.

    Raises:
        NotJson: A state cannot hold `value`.
    """

    __slots__ = ("_decoded", "_pieces", "_resting", "messages_at", "questions_at")

    def __init__(self, value: Json = None, *, wake: Callable[[], None] | None = None) -> None:
        super().__init__(wake)
        self.messages_at: Sequence[str] | None = None  #: keys to the messages, if runs keep them there
        self.questions_at: Sequence[str] | None = None  #: keys to the list of open questions, if runs may ask any
        #: a plain container whose node is not made yet, see `adopting`; of a dict, some values may be JSON text still
        self._decoded: Any = None
        self._resting: bytes | None = None  #: the state as JSON while it rests, see `rest`
        self._pieces: Pieces | None = None  #: the JSON of a large state, as it was last encoded
        self._root = self.own(value, self, None)

    @classmethod
    def adopting(cls, value: Json, text: bytes = b"") -> Document:
        """Make a document of a checked value that comes straight from the JSON decoder, without copying it.

        Its nodes are made where somebody looks, so that adopting a large state costs little. Nobody may change the
        value from here on.

        Args:
            value: The decoded value.
            text: The JSON it was decoded from, if the document may keep that text until the state is first read.
        """
        document = cls()
        if text:
            document._resting = text
        else:
            document._hold(value)
        return document

    @property
    def root(self) -> Json:
        """The state itself: a tracked dict or list, or a scalar. Assigning replaces it whole.

        Raises:
            NotJson: A state cannot hold the assigned value; the state is unchanged.
        """
        root = self._root  # another thread may end the run, and take this away, at any moment
        if root is None or type(root) is SplitDict:
            with self._lock:
                if self._resting is not None:
                    self._wake_up(_decode(self._resting))
                self._make_root()
                root = self._root
                if type(root) is SplitDict:
                    root.decode_all()
        return root

    @root.setter
    def root(self, value: Json) -> None:
        with self.lock:
            old = self.root
            if value is old:
                return
            if type(value) is str and type(old) is str and value.startswith(old):
                self.append_text(value[len(old) :])
                return
            value = self.own(value, self, None, (id(old),))
            self.detach(old, self)
            self._root = value
            self.record(self, None, None)

    def at(self, path: Sequence[str]) -> Json:
        """Return the value at keys of the state; None if there is none. Decode only that value of a resting state.

        Args:
            path: Keys of dicts.
        """
        if not path:
            return self.root
        at = self._root
        if at is None:
            with self._lock:
                if self._resting is not None:
                    self._wake_up(_split(self._resting))
                self._make_root()
                at = self._root
        for key in path:
            at = at.get(key) if isinstance(at, dict) else None
        return at

    def list_at(self, path: Sequence[str] | None) -> Sequence[Json]:
        """Return the list at keys of the state, as part of it; an empty one if there is none, or no path."""
        found = None if path is None else self.at(path)
        return found if isinstance(found, list) else []

    def append_text(self, delta: str, path: Sequence[str | int] = ()) -> None:
        """Append `delta` to the text at `path`. O(delta), however long the text is.

        Raises:
            OperationError: The value at `path` is not a text.
            NotJson: `delta` contains a lone surrogate. A high one at its end waits for the low one (`surrogates.py`).
            TypeError: `delta` is not a str.
        """
        with self.lock:
            if path:
                self._append_text_at(path, delta)
                return
            if type(self.root) is not str:
                raise OperationError(f"expected the state to be a text, got {type(self.root).__name__}")
            delta = self.join_surrogates(self, None, len(self.root), check_text(delta))
            self._root = self.root + delta
            if delta:
                self.record(self, None, delta)

    def apply(self, operation: Operation) -> None:
        """Apply an operation in place, as a strict client does.

        Raises:
            OperationError: The operation does not fit the state, which is unchanged.
            NotJson: A state cannot hold its value; the state is unchanged.
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

    def put(self, path: Sequence[str], value: Json) -> None:
        """Make the value at `path` equal to `value`, with the smallest operations; create missing parents.

        Text that has grown is appended to, and unchanged parts are not sent. Compares all of `value`.

        Raises:
            OperationError: The state can have no value at `path`; it is unchanged.
            NotJson: A state cannot hold `value`; the state is unchanged.
            StateTooLarge: The state would be larger than its limit; it is unchanged.
        """
        with self.lock:
            check_path(self.root, path)
            before = self.root
            for key in keys_of(before, path):
                before = before[key] if _holds(before, key) else _ABSENT
            if before is not _ABSENT and _encode(before) == _encode(value):
                return  # told ten times as fast as by looking for differences
            changed = [Set(tuple(path), value)] if before is _ABSENT else diff(before, value, path)
            estimate = len(encode(changed)) if changed and self.limit is not None else 0
            self.left -= estimate
            if self.left < 0:
                old, new = (self._root, apply(self._root, changed)) if before is _ABSENT else (before, value)
                self.grow(estimate, len(_encode(new)) - len(_encode(old)))
            left, self.left = self.left, math.inf  # all of it is counted; half of it may be larger than all
            try:
                for operation in changed:
                    self.apply(operation)
            finally:
                self.left = left

    def rest(self) -> bytes:
        """Keep the state as JSON until it is next read, and return that JSON. Flush first.

        A resting state takes a tenth of the memory. Nodes taken from the state earlier are no longer part of it.
        """
        with self._lock:
            if self._resting is None:
                self._resting = self.encode()
                self._pieces = None
                self._take_apart()
            return self._resting

    def end(self, refusal: Callable[[], Exception]) -> Document:
        """Refuse every further change, also through nodes taken earlier. Flush first.

        The state can still be read. Return the document that continues with it. This is O(changes), since both
        documents share the parts that were not read or not changed.

        Args:
            refusal: Returns the error to raise at a line that writes.
        """
        with self._lock:
            following = Document()
            following.limit, following.left, following.loose = self.limit, self.left, self.loose
            if self._resting is None:
                plain = self._plain()
                if isinstance(plain, (dict, list)):
                    self._take_apart(plain)
                following._hold(plain)
                following._pieces, self._pieces = self._pieces, None
            else:
                following._resting = self._resting
            self.wake = None
            self.lock = Fence(refusal)
            self._pending = self.lock  # who waits for the lock at this moment gets it, and comes no further than here
            return following

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock for a write outside the state. After the run, raise what a change would raise."""
        with self.lock:
            if self.ended:  # while this waited for the lock
                self._pending.append((self, None, None))
            yield

    @property
    def ended(self) -> bool:
        """Whether the document refuses every change."""
        return self.lock is not self._lock

    @property
    def rests(self) -> bool:
        """Whether the state is JSON text, which is decoded on first read; see `prepare`."""
        return self._resting is not None

    def prepare(self, text: bytes | None = None, value: Json = None) -> None:
        """Decode a resting state, in any thread, without holding the lock.

        Args:
            text: The resting state, if the caller has already decoded it.
            value: `text`, decoded; the caller must not change it afterwards.
        """
        resting = self._resting
        if resting is not None:
            value = value if resting is text else _split(resting)
            with self._lock:  # its run may have ended meanwhile, which refuses writes only
                if self._resting is resting:
                    self._wake_up(value)

    def plain(self) -> Json:
        """Return the state as plain JSON, for reading only. O(changes) since the last call."""
        with self._lock:
            if self._resting is not None:
                return _decode(self._resting)
            if type(self._root) is SplitDict:
                self._root.decode_all()
            plain = self._plain()
            if type(plain) is dict:
                plain.update([(key, _decode(value)) for key, value in plain.items() if type(value) is msgspec.Raw])
            return plain

    def _plain(self) -> Json:
        """Return a decoded state as plain JSON, which nobody may change. Values of a dict may be JSON text still."""
        if self._decoded is not None:
            return self._decoded
        root: Any = self._root
        if type(root) not in NODES:
            return self._root
        for node, _, _ in self._pending:
            self.note_change(node)
        if root._origin is None:
            self.version += 1  # a later change is noted again
        return plain_of(root)

    def _hold(self, value: Json) -> None:
        """Let the state be a decoded value that is nobody else's to change."""
        if isinstance(value, (dict, list)):
            self._decoded = value
        else:
            self._root = value
        self._resting = None

    def _wake_up(self, value: Json) -> None:
        """Hold a resting state decoded, and its text until something changes."""
        text = self._resting
        self._hold(value)
        if text is not None and len(text) >= LARGE and isinstance(value, (dict, list)):
            self._pieces = Pieces(value, text)

    def _make_root(self) -> None:
        if self._decoded is not None:
            is_split = type(self._decoded) is dict and msgspec.Raw in map(type, self._decoded.values())
            self._root = split_root(self._decoded, self) if is_split else node_of(self._decoded, self, self, None)
            self._decoded = None

    def _take_apart(self, decoded: Any = None) -> None:
        """Unlink all nodes, so that they are freed at once rather than by the garbage collector.

        Who reads meanwhile, without the lock, finds `decoded`, or a text that rests, in their place.
        """
        self.version += 1
        nodes: list[Any] = [self._root] if type(self._root) in NODES else []
        self._decoded = decoded
        self._root = self._surrogates = None
        while nodes:
            node = nodes.pop()
            node._parent = None
            items = dict.values(node) if isinstance(node, dict) else list.__iter__(node)
            nodes += [item for item in items if type(item) in NODES]

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
        """Return the state as JSON text. Flush first if it must match a revision."""
        with self._lock:
            if self._resting is not None:
                return self._resting
            if self._pieces is not None:
                plain = self._plain()
                if isinstance(plain, (dict, list)):
                    return self._pieces.encode(plain)
                self._pieces = None
            text = _encode(self._root if self._decoded is None else self._decoded)
            if len(text) >= LARGE and isinstance(plain := self._plain(), (dict, list)):
                self._pieces = Pieces(plain, text)
            return text


def to_json(value: Json) -> Json:
    """Return `value` as plain JSON, converted and checked as if it were assigned to a state.

    Raises:
        NotJson: A state cannot hold `value`.
    """
    return plain_copy(Document(value).root)


def _split(text: bytes) -> Json:
    """Decode a state; the values of a large dict stay JSON text."""
    return _decode_split(text) if len(text) > SPLIT and text[:1] == b"{" else _decode(text)


def _holds(container: Json, key: str | int) -> bool:
    if isinstance(container, list):
        return isinstance(key, int) and -len(container) <= key < len(container)
    return isinstance(container, dict) and key in container


def _put(container: Json, key: str | int, value: Json) -> None:
    if isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value
