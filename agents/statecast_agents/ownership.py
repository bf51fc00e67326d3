"""Take assigned values into a state: check scalars, copy containers into nodes, and move nodes that leave."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from .changes import ChangeRecorder
from .errors import NotJson
from .moves import Moves
from .tracked import NODES, Node, TrackedDict, TrackedList
from .values import FORBIDDEN_KEYS, MAX_DEPTH, Json, check_key, check_scalar, plain

__all__ = ["NodeFactory"]

_new_dict = dict.__new__
_new_list = list.__new__
_dict_set = dict.__setitem__
_list_append = list.append
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_ABSENT: Final = object()


class NodeFactory(ChangeRecorder):
    """Make nodes of the values that are assigned to a state. `Document` extends it."""

    __slots__ = ()

    def own(self, value: Json, parent: Any, key: str | int | None, leaving: Collection[int] = ()) -> Json:
        if type(value) in _SCALARS:
            value = check_scalar(value)
            if self.limit is not None:
                self.reserve((value,), (key,), parent, leaving)
            return value
        depth = _depth_below(parent, self)
        try:
            owned = _own(value, self, parent, key, depth, leaving)
            if self.limit is not None:
                self.reserve((owned,), (key,), parent, leaving)
        except BaseException:
            self.moves = None
            raise
        if self.moves is not None:
            self.commit_moves()
        return owned

    def own_all(
        self, values: Collection[Json], parent: Any, keys: Sequence[str | int], leaving: Collection[int]
    ) -> list[Json]:
        depth = _depth_below(parent, self)
        try:
            owned = [_own(item, self, parent, key, depth, leaving) for key, item in zip(keys, values, strict=True)]
            if self.limit is not None:
                self.reserve(owned, keys, parent, leaving)
            return owned
        except BaseException:
            self.moves = None
            raise


def _depth_below(parent: Any, document: ChangeRecorder) -> int:
    """Return the depth of a child of `parent`, in containers; the root has 1."""
    depth = 1
    while parent is not None and parent is not document:
        depth += 1
        parent = parent._parent
    return depth


def _own(
    value: Json, document: ChangeRecorder, parent: Any, key: str | int | None, depth: int, leaving: Collection[int]
) -> Json:
    kind = type(value)
    is_node = kind in NODES
    is_foreign = is_node and value._document is not document  # and is read as it lies: to look takes the other's lock
    if kind is dict or (is_node and isinstance(value, dict)):
        if is_node and _can_move(value, document, parent, key, depth, leaving):
            return value
        _check_depth(depth)
        branch: TrackedDict = _new_dict(TrackedDict)
        branch._document = document
        branch._parent = parent
        branch._key = key
        branch._cache = None
        branch._origin = None
        name: Any = _ABSENT
        try:
            for name, item in dict.items(value) if is_foreign else value.items():
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
        if is_node:
            _note_copy(value, branch)
        return branch
    if kind is list or is_node:
        if is_node and _can_move(value, document, parent, key, depth, leaving):
            return value
        _check_depth(depth)
        row: TrackedList = _new_list(TrackedList)
        row._document = document
        row._parent = parent
        row._key = key
        row._cache = None
        row._origin = None
        try:
            for item in list.__iter__(value) if is_foreign else value:
                if type(item) in _SCALARS:
                    _list_append(row, check_scalar(item))
                else:
                    _list_append(row, _own(item, document, row, len(row), depth + 1, leaving))
        except NotJson as error:
            error.path.insert(0, len(row))
            raise
        if is_node:
            _note_copy(value, row)
        return row
    if kind in _SCALARS:
        return check_scalar(value)
    return _own(plain(value), document, parent, key, depth, leaving)


def _can_move(
    node: Node, document: ChangeRecorder, parent: Any, key: str | int | None, depth: int, leaving: Collection[int]
) -> bool:
    """Return whether a node can move, and plan that; if not, it is copied."""
    if node._document is not document:
        return False
    moves = document.moves
    if moves is None:
        moves = document.moves = Moves(document, leaving)
    return moves.take(node, parent, key, depth)


def _note_copy(node: Any, copy: Node) -> None:
    """Note the copy of a node that belongs to the same state."""
    moves = copy._document.moves
    if moves is not None and node._document is copy._document:
        moves.copies.append((node, copy))


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotJson(f"at most {MAX_DEPTH} nested containers", "more of them, or a cycle")
