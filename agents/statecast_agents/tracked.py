"""The dicts and lists of a state, which record their mutations.

Rule 1: the storage is the dict's or list's own, always current, so that everything written in C (json, msgspec, copy,
sorting, comparison) sees plain containers. Only mutations use the methods here.
Rule 2: an assigned value is copied (`ownership.py`) before anything changes, so a refused value leaves no trace.
Rule 3: a mutation records only the slot that it changed, `(node, key)`. The operations are created at the flush, from
the values then in place (`changes.py`). A value may therefore be recorded many times and is encoded once.
Rule 4: a node knows its parent. A node that left the tree has none, and is an ordinary dict or list until it is
assigned to the tree again: then the same object returns (`moves.py`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NoReturn, SupportsIndex

from .changes import ChangeRecorder
from .errors import NotJson, OperationError
from .growth_hint import LONG_TEXT, hint_append_text
from .size_budget import ESCAPED, SCALAR
from .surrogates import check_text, join_surrogates
from .values import FORBIDDEN_KEYS, MAX_INTEGER, Json, check_key, check_scalar, plain_copy

__all__ = ["NODES", "Node", "TrackedDict", "TrackedList", "container_of"]

#: Characters. Below it a text grows by plain concatenation, which costs 0.3 µs more at most than the trick in
#: `append_text`, and never lets another thread see the text empty.
GROW_IN_PLACE: Final = 16_384

_dict_set = dict.__setitem__
_dict_get = dict.get
_list_get = list.__getitem__
_list_set = list.__setitem__
_list_append = list.append
_ABSENT: Final = object()


class TrackedDict(dict[str, Json]):
    """A dict in a state. Behaves as a plain dict; copies and pickles as one."""

    __slots__ = ("_cache", "_copy", "_document", "_key", "_origin", "_parent")

    _document: ChangeRecorder
    _parent: Any  #: the node or document this one is in; None once it has left the state
    _copy: Any  #: its latest copy elsewhere in the state; unset until there is one
    _key: Any  #: its key there; for a list a hint only, see `index_in`
    _cache: Any  #: the encoded path, and the beginning of the operation last sent, see `ChangeRecorder.flush`
    _origin: Any  #: what it holds as plain JSON; None if that has changed since, see `plain_of`

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
                        whole = document.join_surrogates(self, key, size, delta)
                        if whole is not delta:
                            delta, value = whole, old + whole
                            if not delta:
                                return
                    _dict_set(self, key, value)
                    document.record(self, key, delta)
                    if size >= LONG_TEXT:
                        hint_append_text(size)
                    return
                if not value.isascii():
                    text = _join_split_text(value, old)
                    if text is not value:
                        self[key] = text
                        return
                estimate = ESCAPED * (len(value) + len(key)) + SCALAR
                document.left -= estimate
                if document.left < 0:
                    document.count(estimate, (value,), (key,), self, (id(old),))
            elif kind is int:
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    check_scalar(value)
                if old == value and type(old) is int:
                    return
                estimate = ESCAPED * len(key) + SCALAR
                document.left -= estimate
                if document.left < 0:
                    document.count(estimate, (value,), (key,), self, (id(old),))
            elif value is old:
                return
            else:
                if old is _ABSENT and (key in FORBIDDEN_KEYS or not key.isascii()):
                    check_key(key)  # before anything moves
                value = document.own(value, self, key, (id(old),))
                if kind is float and type(old) is float and old == value:
                    return
            if old is _ABSENT and (key in FORBIDDEN_KEYS or not key.isascii()):
                check_key(key)
            if type(old) in NODES:
                document.detach(old, self, key)
            _dict_set(self, key, value)
            document.record(self, key, None)

    def __delitem__(self, key: str) -> None:
        with self._document.lock:
            old = dict.__getitem__(self, key)
            super().__delitem__(key)
            self._document.record_removal(self, old)

    def append_text(self, key: str, delta: str) -> None:
        """Append `delta` to the text at `key`. O(delta), however long the text is.

        Raises:
            OperationError: There is no text at `key`.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one, see `surrogates.py`.
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
                delta = document.join_surrogates(self, key, len(text), check_text(delta))
            if len(text) < GROW_IN_PLACE:
                _dict_set(self, key, text + delta)
            else:
                # CPython grows a text in place when the variable is the only reference to it: so the dict lets go.
                _dict_set(self, key, "")
                text += delta
                _dict_set(self, key, text)
            if delta:
                document.record(self, key, delta)

    def clear(self) -> None:
        with self._document.lock:
            if self:
                gone = list(dict.values(self))
                super().clear()
                self._document.record_removal(self, *gone)

    def pop(self, key: str, *default: Any) -> Any:
        with self._document.lock:
            if key not in self:
                return super().pop(key, *default)
            value = super().pop(key)
            self._document.record_removal(self, value)
            return value

    def popitem(self) -> tuple[str, Json]:
        with self._document.lock:
            key, value = super().popitem()
            self._document.record_removal(self, value)
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
            changes = {
                key: item for key, item in given.items() if type(item) not in NODES or item is not _dict_get(self, key)
            }
            owned = _own_values(changes, self, {id(_dict_get(self, key)) for key in changes})
            left, document.left = document.left, math.inf  # all of it is counted; half of it may be larger than all
            for key, value in owned.items():
                if type(value) in NODES:
                    document.detach(_dict_get(self, key), self, key)
                    _dict_set(self, key, value)
                    document.record(self, key, None)
                else:
                    self[key] = value
            document.left = left

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[override,misc]  # narrower than dict's overloads
        self.update(other)
        return self

    def __copy__(self) -> dict[str, Json]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Json]:
        return plain_copy(self)  # type: ignore[no-any-return]  # a dict's copy is a dict

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (), None, None, iter(dict(self).items())

    @classmethod
    def fromkeys(cls, iterable: Iterable[str], value: Json = None) -> dict[str, Json]:  # type: ignore[override]  # plain
        return dict.fromkeys(iterable, value)


class TrackedList(list[Json]):
    """A list in a state. Behaves as a plain list; copies and pickles as one."""

    __slots__ = ("_cache", "_copy", "_document", "_key", "_origin", "_parent")

    _document: ChangeRecorder
    _parent: Any
    _copy: Any
    _key: Any
    _cache: Any
    _origin: Any

    def __new__(cls, *args: Any) -> list[Json]:  # type: ignore[misc]  # `type(x)(…)` is plain
        return list(*args)

    def __init__(self, *args: Any) -> None:
        self[:] = list(*args)

    def __setitem__(self, key: Any, value: Any) -> None:
        document = self._document
        if isinstance(key, slice):
            items = list(value)  # before anything else: it may be a generator that takes from this very list
            with document.lock:
                before = _items_of(self)
                replaced = {id(item) for item in _list_get(self, key) if type(item) in NODES}
                owned = document.own_all(items, self, range(len(items)), replaced)
                try:
                    super().__setitem__(key, owned)
                except ValueError:  # a slice with a step takes as many items as it has
                    document.moves = None
                    raise
                document.commit_moves()
                document.record_rearrangement(self, before)
            return
        with document.lock:
            old = _list_get(self, key)
            if value is old:
                return
            index = key.__index__()
            if index < 0:
                index += len(self)
            kind = type(value)
            if kind is str:
                if type(old) is str and value.startswith(old):
                    size = len(old)
                    delta = value[size:]
                    whole = document.join_surrogates(self, index, size, delta)
                    if whole:
                        _list_set(self, index, value if whole is delta else old + whole)
                        document.record(self, index, whole)
                        if size >= LONG_TEXT:
                            hint_append_text(size)
                    return
                text = _join_split_text(value, old)
                if text is not value:
                    self[index] = text
                    return
                estimate = ESCAPED * len(value) + SCALAR
                document.left -= estimate
                if document.left < 0:
                    document.count(estimate, (value,), (index,), self, (id(old),))
            else:
                value = document.own(value, self, index, (id(old),))
                if (kind is int or kind is float) and type(old) is kind and old == value:
                    return
            if type(old) in NODES:
                document.detach(old, self)
            _list_set(self, index, value)
            document.record(self, index, None)

    def __delitem__(self, key: SupportsIndex | slice) -> None:
        with self._document.lock:
            gone = _list_get(self, key) if isinstance(key, slice) else [_list_get(self, key)]
            super().__delitem__(key)
            if gone:
                self._document.record_removal(self, *gone)

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
                value = document.own(value, self, index)
            if kind is int or kind is str:
                estimate = SCALAR if kind is int else ESCAPED * len(value) + SCALAR
                document.left -= estimate
                if document.left < 0:
                    document.count(estimate, (value,), (index,), self, ())
            _list_append(self, value)
            document.record(self, index, None)

    def append_text(self, index: SupportsIndex, delta: str) -> None:
        """Append `delta` to the text at `index`. O(delta), however long the text is.

        Raises:
            OperationError: There is no text at `index`.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one, see `surrogates.py`.
            TypeError: `delta` is not a str.
        """
        document = self._document
        with document.lock:
            at = operator.index(index)
            if at < 0:
                at += len(self)
            text = _list_get(self, at) if 0 <= at < len(self) else None
            if type(text) is not str:
                _no_text(at, text)
            delta = document.join_surrogates(self, at, len(text), check_text(delta))
            if len(text) < GROW_IN_PLACE:
                _list_set(self, at, text + delta)
            else:
                _list_set(self, at, "")  # as in TrackedDict.append_text
                text += delta
                _list_set(self, at, text)
            if delta:
                document.record(self, at, delta)

    def extend(self, values: Iterable[Json]) -> None:
        items = list(values)
        with self._document.lock:
            start = len(self)
            owned = self._document.own_all(items, self, range(start, start + len(items)), ())
            self._document.commit_moves()
            for index, item in enumerate(owned, start):
                _list_append(self, item)
                self._document.record(self, index, None)

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
            super().insert(at, self._document.own(value, self, at))
            self._document.record_shift(self, at)

    def pop(self, index: SupportsIndex = -1) -> Json:
        with self._document.lock:
            value = super().pop(index)
            self._document.record_removal(self, value)
            return value

    def remove(self, value: Json) -> None:
        with self._document.lock:
            del self[self.index(value)]

    def clear(self) -> None:
        del self[:]

    def reverse(self) -> None:
        with self._document.lock:
            before = _items_of(self)
            super().reverse()
            self._document.record_rearrangement(self, before)

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        with self._document.lock:
            before = list(self)
            after = sorted(before, key=key, reverse=reverse)  # `key` may change items, so they stay in place meanwhile
            if len(before) != len(self) or any(map(operator.is_not, before, self)):
                raise ValueError("list modified during sort")
            super().__setitem__(slice(None), after)
            self._document.record_rearrangement(self, before)

    def __copy__(self) -> list[Json]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Json]:
        return plain_copy(self)  # type: ignore[no-any-return]  # a list's copy is a list

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (), None, iter(list(self))


Node = TrackedDict | TrackedList
#: The classes of nodes; `lazy.py` adds its own.
NODES: Final[set[type]] = {TrackedDict, TrackedList}


def container_of(node: Node) -> Node | None:
    """Return the node that a node is in; None for the state itself, and for what is no part of it any more."""
    parent = node._parent
    return parent if type(parent) in NODES else None


def _items_of(row: list[Json]) -> list[Json]:
    """Return what the storage of a list holds, whether it is a node yet or not."""
    return _list_get(row, slice(None))


def _own_values(values: dict[str, Json], parent: Node, leaving: Collection[int]) -> dict[str, Json]:
    """Take all of `values` into the state, or refuse all of them."""
    keys = [check_key(key) for key in values]
    owned = parent._document.own_all(values.values(), parent, keys, leaving)
    parent._document.commit_moves()
    return dict(zip(keys, owned, strict=True))


def _join_split_text(value: str, old: Json) -> str:
    """Join the surrogate pairs in `value`; a high surrogate may end it only if it continues the text `old`."""
    try:
        return check_scalar(value)  # type: ignore[no-any-return]  # a str stays one
    except NotJson:
        whole, half = join_surrogates(value)
        if half and type(old) is str and whole.startswith(old):
            return whole + half
        raise


def _no_text(key: str | int, value: Json) -> NoReturn:
    raise OperationError(f"expected a text at {key!r} to append to, got {type(value).__name__}")
