"""Nodes that create their child nodes on first read, so that a large state costs only what is read.

A decoded container becomes a node by a shallow copy. Its storage then holds the plain decoded children. When a Python
method returns a child, the child becomes a node, in its place in the storage. C code that reads past the methods (json,
msgspec, comparison) always sees dicts, lists and scalars all the way down.

Rule 1: a plain child is never returned and never changed, because other states may share it: those of the runs before
and after (`Document.end`).
Rule 2: a child becomes a node under the document's lock, so that there is only one node for it.
Rule 3: when all children of a node are nodes, the node's class becomes that of its base, whose reads are those of C. So
no method calls `super()` after a read.
Rule 4: dict(), list(), unpacking, `|` and `+` read a subclass through its methods only if it defines `__iter__`, so
each class does.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, Final, SupportsIndex

import msgspec

from .changes import ChangeRecorder
from .tracked import NODES, Node, TrackedDict, TrackedList
from .values import Json

__all__ = ["LazyDict", "LazyList", "SplitDict", "node_of", "plain_of", "split_root"]

#: Items of a small container, which becomes a node together with the small containers in it, such as a message with its
#: parts. That costs less than to ask at each look what is a node already.
FEW: Final = 16
DEPTH: Final = 4  #: containers within one another that become nodes together
WIDE: Final = 256  #: items of a container from which on it becomes a node only where somebody looks at it itself

_new_dict = dict.__new__
_new_list = list.__new__
_dict_get = dict.__getitem__
_dict_set = dict.__setitem__
_list_get = list.__getitem__
_list_set = list.__setitem__
_PLAIN: Final = frozenset({dict, list})
_ABSENT: Final = object()
_decode = msgspec.json.Decoder().decode


class LazyDict(TrackedDict):
    """A dict in a state, some of whose children are not nodes yet."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        value = _dict_get(self, key)
        kind = type(value)
        return _child(self, key) if kind is dict or kind is list else value

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self)  # see rule 4

    def values(self) -> ValuesView[Json]:  # type: ignore[override]  # typeshed's is private
        _look_at_all(self)
        return dict.values(self)

    def items(self) -> ItemsView[str, Json]:  # type: ignore[override]  # typeshed's is private
        _look_at_all(self)
        return dict.items(self)

    def copy(self) -> dict[str, Json]:
        _look_at_all(self)
        return dict.copy(self)

    def pop(self, key: str, *default: Any) -> Any:
        self.get(key)
        return TrackedDict.pop(self, key, *default)

    def popitem(self) -> tuple[str, Json]:
        _look_at_all(self)
        return TrackedDict.popitem(self)


class SplitDict(LazyDict):
    """The root of a state of which the engine has looked at some keys; the values of the others are JSON text still.

    It is not handed out before `decode_all` has been called.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        if type(_dict_get(self, key)) is msgspec.Raw:
            with self._document._lock:
                SplitDict._decode(self, key)  # another thread may have decoded all by now, and changed the class
        return LazyDict.__getitem__(self, key)

    def decode_all(self) -> None:
        """Decode what is JSON text still."""
        for key in dict.keys(self):
            self._decode(key)
        self.__class__ = LazyDict  # type: ignore[assignment]  # it has the same layout

    def _decode(self, key: str) -> None:
        value = _dict_get(self, key)
        if type(value) is msgspec.Raw:
            value = _decode(value)
            _dict_set(self, key, value)
            if self._origin is not None:
                self._origin[key] = value  # where the next run finds it


class LazyList(TrackedList):
    """A list in a state, some of whose children are not nodes yet."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            with self._document._lock:
                for index in range(*key.indices(len(self))):
                    self[index]
                return _list_get(self, key)
        value = _list_get(self, key)
        kind = type(value)
        return _child(self, key) if kind is dict or kind is list else value

    def __iter__(self) -> Iterator[Json]:
        for index in itertools.count():
            try:
                item = _list_get(self, index)
                if type(item) in _PLAIN:
                    item = _child(self, index)
            except IndexError:  # no length is asked for, since another thread may shorten the list in between
                return
            yield item

    def __reversed__(self) -> Iterator[Json]:
        for index in range(len(self) - 1, -1, -1):
            try:
                item = self[index]
            except IndexError:
                return
            yield item

    def pop(self, index: SupportsIndex = -1) -> Json:
        if -len(self) <= operator.index(index) < len(self):
            self[index]
        return TrackedList.pop(self, index)

    def copy(self) -> list[Json]:
        _look_at_all(self)
        return list.copy(self)

    def __add__(self, other: Any) -> Any:
        _look_at_all(self)
        return list.__add__(self, other[:] if isinstance(other, LazyList) else other)

    def __radd__(self, other: Any) -> Any:
        _look_at_all(self)
        return list.__add__(other, self) if isinstance(other, list) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> list[Json]:
        _look_at_all(self)
        return list.__mul__(self, times)

    __rmul__ = __mul__


NODES.update((LazyDict, LazyList, SplitDict))


def node_of(value: Any, document: ChangeRecorder, parent: Any, key: str | int | None, depth: int = DEPTH) -> Any:
    """Make the node of a checked, plain container, which nobody may change any more; its children may stay plain."""
    is_dict = type(value) is dict
    node: Any
    if is_dict:
        node = _new_dict(TrackedDict)
        dict.update(node, value)
    else:
        node = _new_list(TrackedList)
        list.extend(node, value)
    node._document = document
    node._parent = parent
    node._key = key
    node._cache = None
    node._origin = value
    lazy = False
    if depth > 1 and len(value) <= FEW:
        put: Any = _dict_set if is_dict else _list_set
        for name, item in value.items() if is_dict else enumerate(value):
            kind = type(item)
            if kind is dict or kind is list:
                if len(item) < WIDE:
                    put(node, name, node_of(item, document, node, name, depth - 1))
                else:
                    lazy = True
    else:
        lazy = not _PLAIN.isdisjoint(map(type, value.values() if is_dict else value))
    if lazy:
        node.__class__ = LazyDict if is_dict else LazyList
    return node


def split_root(value: dict[str, Any], document: ChangeRecorder) -> SplitDict:
    """Make the root of a state, some of whose values are JSON text."""
    root: SplitDict = _new_dict(SplitDict)
    dict.update(root, value)
    root._document = root._parent = document
    root._key = root._cache = None
    root._origin = value
    return root


def plain_of(node: Node) -> Any:
    """Return what a node holds as plain JSON, which nobody may change: of what has not changed, what it was made of.

    Flush first. The root's values may be JSON text still.
    """
    origin = node._origin
    if origin is None:
        if isinstance(node, dict):
            origin = {key: plain_of(item) if type(item) in NODES else item for key, item in dict.items(node)}
        else:
            origin = [plain_of(item) if type(item) in NODES else item for item in list.__iter__(node)]
        node._origin = origin
    return origin


def _child(node: Any, key: Any) -> Any:
    """Return the child at a key or an index, which becomes a node if it is not one yet."""
    document = node._document
    with document._lock:
        if isinstance(node, dict):
            value: Any = _dict_get(node, key)
            if type(value) in _PLAIN:
                value = node_of(value, document, node, key)
                _dict_set(node, key, value)
                if len(node) <= FEW and type(node) is LazyDict and _PLAIN.isdisjoint(map(type, dict.values(node))):
                    node.__class__ = TrackedDict  # type: ignore[assignment]  # it has the same layout
        else:
            value = _list_get(node, key)
            if type(value) in _PLAIN:
                index = operator.index(key)
                index += len(node) if index < 0 else 0
                value = node_of(value, document, node, index)
                _list_set(node, index, value)
                if len(node) <= FEW and _PLAIN.isdisjoint(map(type, list.__iter__(node))):
                    node.__class__ = TrackedList
        return value


def _look_at_all(node: Any) -> None:
    """Make nodes of all children that are not."""
    document = node._document
    with document._lock:
        if isinstance(node, dict):
            for key, value in dict.items(node):
                if type(value) in _PLAIN:
                    _dict_set(node, key, node_of(value, document, node, key))
            node.__class__ = TrackedDict
        else:
            for index, value in enumerate(list.__iter__(node)):
                if type(value) in _PLAIN:
                    _list_set(node, index, node_of(value, document, node, index))
            node.__class__ = TrackedList
