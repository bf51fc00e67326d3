"""Dicts and lists that note what happens to them.

Rule 1: the storage is the dict's or list's own, always current, so that everything written in C (json, msgspec, copy,
sorting, comparison) sees plain containers. Only mutations pass through here.
Rule 2: what is assigned is copied (`own`) before anything changes, so a refused value leaves no trace.
Rule 3: a mutation notes the slot it touched, `(node, key)`, and nothing else; what to send is worked out when the turn
ends, from the values then in place (`document.py`). A value may therefore be noted many times and is encoded once.
Rule 4: a node knows its parent. A node that left the tree has none, and is an ordinary dict or list until it is
assigned to the tree again: then it is the same object that comes back (`moves.py`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, SupportsIndex

from .errors import NotJson, OperationError
from .moves import Moves
from .size_budget import ESCAPED, SCALAR, claim
from .surrogates import check_text, paired
from .values import FORBIDDEN_KEYS, MAX_DEPTH, MAX_INTEGER, Json, check_key, check_scalar, plain

if TYPE_CHECKING:
    from .document import Document

__all__ = ["NODES", "Node", "TrackedDict", "TrackedList", "adopt", "index_in", "own", "thaw"]

#: Characters. Below it a text grows by plain concatenation, which costs less than the trick of `grow`.
GROW_IN_PLACE: Final = 16_384

_new_dict = dict.__new__
_new_list = list.__new__
_dict_set = dict.__setitem__
_dict_get = dict.get
_list_set = list.__setitem__
_list_append = list.append
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_CONTAINERS: Final = frozenset({dict, list})
_ABSENT: Final = object()


class TrackedDict(dict[str, Json]):
    """A dict inside a tracked state. Behaves as a plain dict; copies and pickles as one."""

    __slots__ = ("_cache", "_copy", "_document", "_key", "_parent")

    _document: Document
    _parent: Any  #: the node or document this one is in; None once it has left the state
    _copy: Any  #: its latest copy elsewhere in the state; unset until there is one
    _key: Any  #: its key there; for a list a hint only, see `index_in`
    _cache: Any  #: the encoded path, and the beginning of the operation last sent, see `Document.flush`

    def __new__(cls, *args: Any, **kwargs: Any) -> dict[str, Json]:  # type: ignore[misc]  # `type(x)(…)` is plain
        return dict(*args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Json) -> None:
        self.update(*args, **kwargs)

    def __setitem__(self, key: str, value: Json) -> None:
        document = self._document
        kind = type(value)
        if type(key) is not str:
            key = check_key(key)
        with document.lock:
            old = _dict_get(self, key, _ABSENT)
            if kind is str:
                if type(old) is str and value.startswith(old):
                    size = len(old)
                    if len(value) == size:
                        return
                    delta = value[size:]
                    if not delta.isascii():
                        whole = document.joined(self, key, size, delta)
                        if whole is not delta:
                            delta, value = whole, old + whole
                            if not delta:
                                return
                    _dict_set(self, key, value)
                    document.note(self, key, delta)
                    return
                if not value.isascii():
                    text = _mended(value, old)
                    if text is not value:
                        self[key] = text
                        return
                document.left -= ESCAPED * (len(value) + len(key)) + SCALAR
                if document.left < 0:
                    claim(document, (value,), (key,), self, (id(old),))
            elif kind is int:
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    check_scalar(value)
                if old == value and type(old) is int:
                    return
                document.left -= ESCAPED * len(key) + SCALAR
                if document.left < 0:
                    claim(document, (value,), (key,), self, (id(old),))
            elif value is old:
                return
            else:
                if old is _ABSENT and (key in FORBIDDEN_KEYS or not key.isascii()):
                    check_key(key)  # before anything moves
                value = own(value, document, self, key, (id(old),))
                if kind is float and type(old) is float and old == value:
                    return
            if old is _ABSENT and (key in FORBIDDEN_KEYS or not key.isascii()):
                check_key(key)
            if type(old) in NODES:
                document.drop(old, self, key)
            _dict_set(self, key, value)
            document.note(self, key, None)

    def __delitem__(self, key: str) -> None:
        with self._document.lock:
            old = self[key]
            super().__delitem__(key)
            self._document.lost(self, old)

    def append_text(self, key: str, delta: str) -> None:
        """Grow the text at `key` by `delta`, at a cost that does not depend on how long it is.

        Raises:
            OperationError: There is no text at `key`.
            NotJson: `delta` holds a lone surrogate; a first half at its end waits for the other one, see `surrogates.py`.
            TypeError: `delta` is not a str.
        """
        document = self._document
        with document.lock:
            text = _dict_get(self, key)
            if type(text) is not str:
                _no_text(key, text)
            if type(key) is not str:
                key = check_key(key)
            if type(delta) is not str or not delta.isascii():
                delta = document.joined(self, key, len(text), check_text(delta))
            if len(text) < GROW_IN_PLACE:
                _dict_set(self, key, text + delta)
            else:
                # CPython grows a text in place when the variable is the only reference to it: so the dict lets go.
                _dict_set(self, key, "")
                text += delta
                _dict_set(self, key, text)
            if delta:
                document.note(self, key, delta)

    def clear(self) -> None:
        with self._document.lock:
            if self:
                gone = list(self.values())
                super().clear()
                self._document.lost(self, *gone)

    def pop(self, key: str, *default: Any) -> Any:
        with self._document.lock:
            if key not in self:
                return super().pop(key, *default)
            value = super().pop(key)
            self._document.lost(self, value)
            return value

    def popitem(self) -> tuple[str, Json]:
        with self._document.lock:
            key, value = super().popitem()
            self._document.lost(self, value)
            return key, value

    def setdefault(self, key: str, default: Json = None) -> Json:
        key = check_key(key)
        with self._document.lock:
            if key not in self:
                self[key] = default
            return self[key]

    def update(self, *args: Any, **kwargs: Json) -> None:
        given = dict(*args, **kwargs)
        document = self._document
        with document.lock:
            changes = {key: item for key, item in given.items() if type(item) not in NODES or item is not self.get(key)}
            owned = _owned(changes, self, {id(self.get(key)) for key in changes})
            left, document.left = document.left, math.inf  # all of it is counted; half of it may be larger than all
            for key, value in owned.items():
                if type(value) in NODES:
                    document.drop(self.get(key), self, key)
                    _dict_set(self, key, value)
                    document.note(self, key, None)
                else:
                    self[key] = value
            document.left = left

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[override,misc]  # narrower than dict's overloads
        self.update(other)
        return self

    def __copy__(self) -> dict[str, Json]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Json]:
        return thaw(self)  # type: ignore[no-any-return]  # a dict thaws to a dict

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (), None, None, iter(dict(self).items())

    @classmethod
    def fromkeys(cls, iterable: Iterable[str], value: Json = None) -> dict[str, Json]:  # type: ignore[override]  # plain
        return dict.fromkeys(iterable, value)


class TrackedList(list[Json]):
    """A list inside a tracked state. Behaves as a plain list; copies and pickles as one."""

    __slots__ = ("_cache", "_copy", "_document", "_key", "_parent")

    _document: Document
    _parent: Any
    _copy: Any
    _key: Any
    _cache: Any

    def __new__(cls, *args: Any) -> list[Json]:  # type: ignore[misc]  # `type(x)(…)` is plain
        return list(*args)

    def __init__(self, *args: Any) -> None:
        self[:] = list(*args)

    def __setitem__(self, key: Any, value: Any) -> None:
        document = self._document
        if isinstance(key, slice):
            items = list(value)  # before anything else: it may be a generator that takes from this very list
            with document.lock, _Rearranged(self):
                replaced = {id(item) for item in self[key] if type(item) in NODES}
                owned = _all_owned(items, self, range(len(items)), replaced)
                try:
                    super().__setitem__(key, owned)
                except ValueError:  # a slice with a step takes as many items as it has
                    document.moves = None
                    raise
                document.move()
            return
        with document.lock:
            old = self[key]
            if value is old:
                return
            index = key.__index__()
            if index < 0:
                index += len(self)
            kind = type(value)
            if kind is str:
                if type(old) is str and value.startswith(old):
                    delta = document.joined(self, index, len(old), value[len(old) :])
                    if delta:
                        _list_set(self, index, old + delta)
                        document.note(self, index, delta)
                    return
                text = _mended(value, old)
                if text is not value:
                    self[index] = text
                    return
                document.left -= ESCAPED * len(value) + SCALAR
                if document.left < 0:
                    claim(document, (value,), (index,), self, (id(old),))
            else:
                value = own(value, document, self, index, (id(old),))
                if (kind is int or kind is float) and type(old) is kind and old == value:
                    return
            if type(old) in NODES:
                document.drop(old, self)
            _list_set(self, index, value)
            document.note(self, index, None)

    def __delitem__(self, key: SupportsIndex | slice) -> None:
        with self._document.lock:
            gone = self[key] if isinstance(key, slice) else [self[key]]
            super().__delitem__(key)
            if gone:
                self._document.lost(self, *gone)

    def append(self, value: Json) -> None:
        document = self._document
        kind = type(value)
        with document.lock:
            index = len(self)
            if kind is int:
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    check_scalar(value)
            elif kind is str:
                if not value.isascii():
                    value = check_scalar(value)
            else:
                value = own(value, document, self, index)
            if kind is int or kind is str:
                document.left -= SCALAR if kind is int else ESCAPED * len(value) + SCALAR
                if document.left < 0:
                    claim(document, (value,), (index,), self, ())
            _list_append(self, value)
            document.note(self, index, None)

    def append_text(self, index: SupportsIndex, delta: str) -> None:
        """Grow the text at `index` by `delta`, at a cost that does not depend on how long it is.

        Raises:
            OperationError: There is no text at `index`.
            NotJson: `delta` holds a lone surrogate; a first half at its end waits for the other one, see `surrogates.py`.
            TypeError: `delta` is not a str.
        """
        document = self._document
        with document.lock:
            at = operator.index(index)
            if at < 0:
                at += len(self)
            text = self[at] if 0 <= at < len(self) else None
            if type(text) is not str:
                _no_text(at, text)
            delta = document.joined(self, at, len(text), check_text(delta))
            if len(text) < GROW_IN_PLACE:
                _list_set(self, at, text + delta)
            else:
                _list_set(self, at, "")  # as in TrackedDict.append_text
                text += delta
                _list_set(self, at, text)
            if delta:
                document.note(self, at, delta)

    def extend(self, values: Iterable[Json]) -> None:
        items = list(values)
        with self._document.lock:
            start = len(self)
            owned = _all_owned(items, self, range(start, start + len(items)), ())
            self._document.move()
            for index, item in enumerate(owned, start):
                _list_append(self, item)
                self._document.note(self, index, None)

    def __iadd__(self, values: Iterable[Json]) -> TrackedList:  # type: ignore[misc]  # `+` makes a plain list
        self.extend(values)
        return self

    def __imul__(self, times: SupportsIndex) -> TrackedList:
        count = operator.index(times)
        if count <= 0:
            self.clear()
        else:
            self.extend(list(self) * (count - 1))
        return self

    def insert(self, index: SupportsIndex, value: Json) -> None:
        with self._document.lock:
            at = operator.index(index)
            at = max(0, at + len(self)) if at < 0 else min(at, len(self))
            super().insert(at, own(value, self._document, self, at))
            self._document.shifted(self, at)

    def pop(self, index: SupportsIndex = -1) -> Json:
        with self._document.lock:
            value = super().pop(index)
            self._document.lost(self, value)
            return value

    def remove(self, value: Json) -> None:
        with self._document.lock:
            del self[self.index(value)]

    def clear(self) -> None:
        del self[:]

    def reverse(self) -> None:
        with self._document.lock, _Rearranged(self):
            super().reverse()

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        with self._document.lock, _Rearranged(self):
            before = list(self)
            after = sorted(before, key=key, reverse=reverse)  # `key` may change items, so they stay in place meanwhile
            if len(before) != len(self) or any(map(operator.is_not, before, self)):
                raise ValueError("list modified during sort")
            super().__setitem__(slice(None), after)

    def __copy__(self) -> list[Json]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Json]:
        return thaw(self)  # type: ignore[no-any-return]  # a list thaws to a list

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (), None, iter(list(self))


Node = TrackedDict | TrackedList
NODES: Final = frozenset({TrackedDict, TrackedList})


class _Rearranged:
    """Note what a list's rearrangement changed; items that stay in the list stay the same objects."""

    def __init__(self, items: TrackedList) -> None:
        self._list = items
        self._before = list(items)

    def __enter__(self) -> _Rearranged:
        return self

    def __exit__(self, *exc: object) -> None:
        here = self._list
        inside = {id(item) for item in here if type(item) in NODES}
        for item in self._before:
            if type(item) in NODES and id(item) not in inside:
                here._document.drop(item, here)
        here._document.rearranged(here, self._before)


def own(value: Json, document: Document, parent: Any, key: str | int | None, leaving: Collection[int] = ()) -> Json:
    """Return `value` as the state keeps it: scalars checked, containers copied into nodes under `parent`.

    Nodes of this state that are in none of its places any more, or leave with those in `leaving` (their ids), are not
    copied but moved.

    Raises:
        NotJson: See `values.py`; also containers nested deeper than `MAX_DEPTH`, a cycle among them.
        StateTooLarge: The state would grow beyond its limit.
    """
    kind = type(value)
    if kind in _SCALARS:
        value = check_scalar(value)
        if document.limit is not None:
            claim(document, (value,), (key,), parent, leaving)
        return value
    depth = 1
    above = parent
    while above is not None and above is not document:
        depth += 1
        above = above._parent
    try:
        owned = _own(value, document, parent, key, depth, leaving)
        if document.limit is not None:
            claim(document, (owned,), (key,), parent, leaving)
    except BaseException:
        document.moves = None
        raise
    if document.moves is not None:
        document.move()
    return owned


def _own(
    value: Json, document: Document, parent: Any, key: str | int | None, depth: int, leaving: Collection[int]
) -> Json:
    kind = type(value)
    if kind is dict or kind is TrackedDict:
        if kind is TrackedDict and _moves(value, document, parent, key, depth, leaving):
            return value
        _check_depth(depth)
        branch: TrackedDict = _new_dict(TrackedDict)
        branch._document = document
        branch._parent = parent
        branch._key = key
        branch._cache = None
        name: Any = _ABSENT
        try:
            for name, item in value.items():
                if type(name) is not str or name in FORBIDDEN_KEYS or not name.isascii():
                    name = check_key(name)  # the checked key is the key from here on
                sort = type(item)
                if sort is str:
                    if not item.isascii():
                        item = check_scalar(item)  # checked from here on
                elif sort in _SCALARS:
                    check_scalar(item)
                else:
                    item = _own(item, document, branch, name, depth + 1, leaving)  # owned from here on
                _dict_set(branch, name, item)
        except NotJson as error:
            if name is not _ABSENT:
                error.path.insert(0, str(name))
            raise
        if kind is TrackedDict:
            _copied(value, branch)
        return branch
    if kind is list or kind is TrackedList:
        if kind is TrackedList and _moves(value, document, parent, key, depth, leaving):
            return value
        _check_depth(depth)
        row: TrackedList = _new_list(TrackedList)
        row._document = document
        row._parent = parent
        row._key = key
        row._cache = None
        try:
            for item in value:
                if type(item) in _SCALARS:
                    _list_append(row, check_scalar(item))
                else:
                    _list_append(row, _own(item, document, row, len(row), depth + 1, leaving))
        except NotJson as error:
            error.path.insert(0, len(row))
            raise
        if kind is TrackedList:
            _copied(value, row)
        return row
    if kind in _SCALARS:
        return check_scalar(value)
    return _own(plain(value), document, parent, key, depth, leaving)


def _moves(
    node: Node, document: Document, parent: Any, key: str | int | None, depth: int, leaving: Collection[int]
) -> bool:
    """Whether a node moves, rather than being copied."""
    if node._document is not document:
        return False
    moves = document.moves
    if moves is None:
        moves = document.moves = Moves(document, leaving)
    return moves.take(node, parent, key, depth)


def _copied(node: Any, copy: Node) -> None:
    """Note that a copy of a node is about to be in the state, if the node is one of the same state."""
    moves = copy._document.moves
    if moves is not None and node._document is copy._document:
        moves.copies.append((node, copy))


def adopt(value: Json, document: Document, parent: Any, key: str | int | None) -> Json:
    """As `own`, for a container fresh from the JSON decoder, and checked: it is no one else's."""
    if type(value) is dict:
        branch: TrackedDict = _new_dict(TrackedDict)
        dict.update(branch, value)
        branch._document = document
        branch._parent = parent
        branch._key = key
        branch._cache = None
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                _dict_set(branch, name, adopt(item, document, branch, name))
        return branch
    row: TrackedList = _new_list(TrackedList)
    list.extend(row, value)
    row._document = document
    row._parent = parent
    row._key = key
    row._cache = None
    if not _CONTAINERS.isdisjoint(map(type, value)):
        for index, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _list_set(row, index, adopt(item, document, row, index))
    return row


def thaw(value: Json) -> Json:
    """Return a deep copy of `value` made of plain dicts and lists."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


def index_in(parent: TrackedList, node: Node) -> int:
    """Return where `node` is in `parent`, renumbering all of its nodes when the hint is out of date."""
    index = node._key
    if index < len(parent) and parent[index] is node:
        return index  # type: ignore[no-any-return]  # keys of list items are ints
    for position, item in enumerate(parent):
        if type(item) in NODES and item._parent is parent:
            item._key = position
    return node._key  # type: ignore[no-any-return]  # as above


def _owned(values: dict[str, Json], parent: Node, leaving: Collection[int]) -> dict[str, Json]:
    """Own all of `values`, so that one refused leaves the others unassigned too."""
    keys = [check_key(key) for key in values]
    owned = _all_owned(values.values(), parent, keys, leaving)
    parent._document.move()
    return dict(zip(keys, owned, strict=True))


def _all_owned(
    values: Collection[Json], parent: Node, keys: Sequence[str | int], leaving: Collection[int]
) -> list[Json]:
    """Own all of `values`, or none. What moves does so at the next `Document.move`."""
    document = parent._document
    depth = 2
    above = parent._parent
    while above is not None and above is not document:
        depth += 1
        above = above._parent
    try:
        owned = [_own(item, document, parent, key, depth, leaving) for key, item in zip(keys, values, strict=True)]
        if document.limit is not None:
            claim(document, owned, keys, parent, leaving)
        return owned
    except BaseException:
        document.moves = None
        raise


def _mended(value: str, old: Json) -> str:
    """Return a text with split characters joined; a first half at the end stays where the text goes on from `old`."""
    try:
        return check_scalar(value)  # type: ignore[no-any-return]  # a str stays one
    except NotJson:
        whole, half = paired(value)
        if half and type(old) is str and whole.startswith(old):
            return whole + half
        raise


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotJson(f"at most {MAX_DEPTH} containers within one another", "more of them, or a cycle")


def _no_text(key: str | int, value: Json) -> NoReturn:
    raise OperationError(f"expected a text at {key!r} to append to, got {type(value).__name__}")
