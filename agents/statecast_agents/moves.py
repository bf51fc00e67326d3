"""Moves: when an assignment puts a part of a state elsewhere in it, the part stays the same object.

`state["messages"] = state["messages"][-10:]` assigns a plain list of ten nodes that leave the state together with their
old list. If they were copied, code that still writes into a message would hold an object outside the state. So a node
moves if the assignment removes it from the state, or if it has left the state before. A node cannot be in two places,
so one that stays in its place is copied. If it leaves that place later, writes to it are refused, since the state
contains only the copy.

Rule 1: nothing moves until the whole assignment is known to be valid (`commit`).
Rule 2: a container in the state holds a node only if it is the node's parent. A container that has left may hold nodes
that moved out of it. It never returns itself; it is copied.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NoReturn

from .errors import OperationError
from .values import MAX_DEPTH

__all__ = ["DETACHED", "Fence", "Moves", "refuse_writes"]


class Fence:
    """Stands in for a document's lock, and refuses every write.

    Args:
        refusal: Makes what is raised.
    """

    __slots__ = ("_refusal",)

    def __init__(self, refusal: Any) -> None:
        self._refusal = refusal

    def __enter__(self) -> NoReturn:
        raise self._refusal()

    def __exit__(self, *exc: object) -> None:
        """Never reached: nothing enters."""

    # It is in the place of what is pending too: whoever waited for the lock as it was taken away still gets it.
    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def append(self, slot: object) -> NoReturn:
        """Refuse a change."""
        raise self._refusal()


class _Detached:
    """Stands in for the document of a node that left the state while a copy of it stays."""

    _lock = threading.RLock()  #: where its children become nodes
    lock = Fence(
        lambda: OperationError(
            "expected a part of the state, got one that was assigned to a second place, where the state holds a copy "
            "of it, and has left its first; take it from the state again"
        )
    )


DETACHED: Final = _Detached()


class Moves:
    """The nodes that one assignment moves.

    Args:
        document: Whose nodes.
        leaving: Ids of the nodes that the assignment replaces.
    """

    __slots__ = ("_document", "_found", "_leaving", "_taken", "_touched", "copies")

    def __init__(self, document: Any, leaving: Collection[int]) -> None:
        self._document = document
        self._leaving = leaving
        self.copies: list[tuple[Any, Any]] = []  #: nodes that could not move, and their copies
        self._found: list[tuple[Any, Any, Any]] = []  #: node, the parent and the key it is to have
        self._taken: set[int] = set()  #: ids of nodes that move
        self._touched: set[int] = set()  #: ids of nodes that something moves out of

    def take(self, node: Any, parent: Any, key: Any, depth: int) -> bool:
        """Return whether a node can move to `key` of `parent`, at a depth, and plan that. One that cannot is copied."""
        if id(node) in self._touched:
            return False
        way: list[int] = []
        at = node
        while True:
            if id(at) in self._taken:
                return False
            way.append(id(at))
            if id(at) in self._leaving:
                break
            if at._parent is None and at is node:
                break
            at = at._parent
            if at is None or at is self._document:
                return False
        above = parent
        while above is not None and above is not self._document:
            if above is node:
                return False  # it would hold itself
            above = above._parent
        height = _height(node)
        if height is None or depth + height - 1 > MAX_DEPTH:
            return False
        self._found.append((node, parent, key))
        self._taken.add(way[0])
        self._touched.update(way[1:])
        return True

    def commit(self) -> None:
        """Make the planned moves."""
        for node, parent, key in self._found:
            node._parent = parent
            node._key = key
        self._document.version += 1
        for node, copy in self.copies:
            node._copy = copy
            if _is_in(copy, self._document) and not _is_in(node, self._document):
                node._document = DETACHED


def refuse_writes(node: Any) -> None:
    """Refuse writes to `node` and the nodes below it if they left the state while copies of them are in it."""
    nodes = [node]
    while nodes:
        at = nodes.pop()
        nodes += _nodes_in(at)
        if _is_in(getattr(at, "_copy", None), at._document):
            at._document = DETACHED


def _is_in(node: Any, document: Any) -> bool:
    """Return whether a node is in its state."""
    while node is not None and node is not document:
        node = node._parent
    return node is not None


def _nodes_in(node: Any) -> Iterator[Any]:
    """Yield the child nodes whose parent is this node."""
    for item in _children_of(node):
        if getattr(item, "_parent", None) is node:
            yield item


def _children_of(container: Any) -> Iterable[Any]:
    """Return what the storage of a container holds, whether it is a node yet or not."""
    return dict.values(container) if isinstance(container, dict) else list.__iter__(container)


def _height(container: Any) -> int | None:
    """Return how deep a container nests, 1 if it holds none; None if a child of a node has moved elsewhere."""
    height = 1
    for item in _children_of(container):
        if isinstance(item, (dict, list)):
            below = None if _is_elsewhere(item, container) else _height(item)
            if below is None:
                return None
            height = max(height, below + 1)
    return height


def _is_elsewhere(item: Any, container: Any) -> bool:
    """Return whether an item of a node is a node, but not the node's child."""
    return hasattr(item, "_parent") and not (item._parent is container and item._document is container._document)
