"""RFC 6902 without mutation: the edits that a patch amounts to, computed step by step on a shared value.

A step costs what it touches: the containers on its path are copied once, everything else is shared with the original
value. The resulting edits can then be applied to the value itself without failing.
Source: docs/protocol/thread-requests.md, "PATCH /threads/{id}/state".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from statecast_agents import FORBIDDEN_KEYS, MAX_DEPTH, Json, StateTooLarge

from .errors import ForbiddenKey, PatchTooLarge, StateLimitExceeded
from .json_compare import same_json
from .json_shape import check_nesting, count_values

__all__ = ["Budget", "Edit", "PatchConflict", "Patching"]

_INDEX: Final = re.compile("0|[1-9][0-9]{0,15}")
_ESCAPE: Final = re.compile("~(?![01])")

_Path: TypeAlias = tuple[str, ...]
_Keys: TypeAlias = tuple[str | int, ...]


class PatchConflict(Exception):
    """A step that cannot be applied to the value."""


class Edit(msgspec.Struct, frozen=True):
    """One change: `set` an item or the root, `insert` into a list, or `remove`."""

    kind: Literal["set", "insert", "remove"]
    keys: _Keys  #: no keys: the root
    value: Json = None
    source: _Keys | None = None  #: where the value is, if it is copied or moved
    moves: bool = False  #: whether it is removed there first


class Budget:
    """The size that a patch may give a state, counted before anything is built.

    Args:
        size: Bytes of the state as JSON.
        limit: Bytes that it may have.
        values: Values that the patch may copy and move, in all.
    """

    def __init__(self, *, size: int, limit: int, values: int) -> None:
        self._before = self._size = size
        self._limit = limit
        self._values = values
        self._built = 0

    def add(self, size: int) -> None:
        """Count the bytes that a step adds or removes.

        Raises:
            RequestError: `state_too_large`.
        """
        self._size += size
        if self._size > max(self._limit, self._before):
            most = f"expected a patch after which the state has at most {self._limit} bytes as JSON, got more"
            message = f"{most}: {StateTooLarge.WHY}"
            raise StateLimitExceeded(message, limit=self._limit)

    def build(self, encoded: bytes) -> None:
        """Count a copied or moved value: a small patch must not cost more because the values it names are large.

        Raises:
            RequestError: `patch_too_large`.
        """
        self._built += len(encoded)
        self._values -= count_values(encoded, self._values + 1)
        if self._built > self._limit or self._values < 0:
            message = "expected a patch that copies and moves less of the state; send it in several requests"
            raise PatchTooLarge(message, limit=self._limit)


class Patching:
    """A patch that is being applied.

    Args:
        value: What is patched; it stays as it is.
        budget: What the patch may make of it.
    """

    def __init__(self, value: Json, budget: Budget) -> None:
        self.value = value  #: as the steps have made it
        self.edits: list[Edit] = []  #: what they have done
        self._budget = budget
        self._own: dict[int, Json] = {}  #: the containers that were copied, and are reached through such alone

    def apply(self, step: Mapping[str, Json]) -> None:
        """Apply a step.

        Raises:
            PatchConflict: It does not fit; what was done before it counts for nothing then.
            RequestError: As `Budget`; `forbidden_key` or `too_deep`.
        """
        path = _parts(step["path"])
        match step["op"]:
            case "test":
                if not same_json(_at(self.value, path)[0], _value_of(step)):
                    raise PatchConflict("the value at its path is a different one")
            case "add":
                self._add(path, _value_of(step))
            case "replace":
                self._replace(path, _value_of(step))
            case "remove":
                self._remove(path)
            case "copy":
                self._copy(_from(step), path)
            case _:
                self._move(_from(step), path)

    def _add(self, path: _Path, value: Json, source: _Keys | None = None, *, moves: bool = False) -> None:
        size = self._measured(path, value)
        if not path:
            self._set_root(value, size, source, moves=moves)
            return
        parent, keys = self._parent(path)
        if isinstance(parent, list):
            index = len(parent) if path[-1] == "-" else _index(path[-1], len(parent))
            self._budget.add(size)
            parent.insert(index, value)
            self.edits.append(Edit("insert", (*keys, index), value, source, moves))
        elif isinstance(parent, dict):
            if path[-1] in FORBIDDEN_KEYS:
                raise ForbiddenKey(path[-1])
            self._budget.add(size - _weight(parent, path[-1]))
            parent[path[-1]] = value
            self.edits.append(Edit("set", (*keys, path[-1]), value, source, moves))
        else:
            raise PatchConflict("there is no object and no array above its path")

    def _replace(self, path: _Path, value: Json) -> None:
        size = self._measured(path, value)
        if not path:
            self._set_root(value, size)
            return
        parent, keys = self._parent(path)
        key = _existing(parent, path[-1])
        self._budget.add(size - _weight(parent, key))
        parent[key] = value
        self.edits.append(Edit("set", (*keys, key), value))

    def _remove(self, path: _Path) -> None:
        if not path:
            raise PatchConflict("the whole state cannot be removed")
        parent, keys = self._parent(path)
        key = _existing(parent, path[-1])
        self._budget.add(-_weight(parent, key))
        del parent[key]
        self.edits.append(Edit("remove", (*keys, key)))

    def _copy(self, source: _Path, path: _Path) -> None:
        value, keys = _at(self.value, source)
        self._budget.build(msgspec.json.encode(value))
        self._own.pop(id(value), None)  # it is reached from two places now
        self._add(path, value, keys)

    def _move(self, source: _Path, path: _Path) -> None:
        if path != source and path[: len(source)] == source:
            raise PatchConflict("a value cannot be moved into itself")
        value, keys = _at(self.value, source)
        if path == source:
            return
        self._budget.build(msgspec.json.encode(value))
        self._remove(source)
        self.edits.pop()
        self._add(path, value, keys, moves=True)

    def _measured(self, path: _Path, value: Json) -> int:
        """Return the size in bytes of a value at a path, with its key and separators.

        Raises:
            RequestError: `too_deep`.
        """
        encoded = msgspec.json.encode(value)
        check_nesting(encoded, MAX_DEPTH - len(path))
        return len(encoded) + (len(path[-1]) + 4 if path else 0)

    def _set_root(self, value: Json, size: int, source: _Keys | None = None, *, moves: bool = False) -> None:
        self._budget.add(size - len(msgspec.json.encode(self.value)))
        self.value = value
        self.edits.append(Edit("set", (), value, source, moves))

    def _parent(self, path: _Path) -> tuple[Json, _Keys]:
        """Return a mutable copy of the container above a path, and the keys that lead to it."""
        at: Json = self.value
        is_own = id(at) in self._own
        if not is_own:
            at = self.value = self._owned(at)
        keys: list[str | int] = []
        for segment in path[:-1]:
            key = _existing(at, segment)
            below = at[key]
            is_own = is_own and id(below) in self._own  # what is below one that is shared is shared as well
            if not is_own:
                below = at[key] = self._owned(below)
            at = below
            keys.append(key)
        return at, tuple(keys)

    def _owned(self, value: Json) -> Json:
        if not isinstance(value, (dict, list)):
            return value
        copy: Json = dict(value) if isinstance(value, dict) else list(value)
        self._own[id(copy)] = copy
        return copy


def _parts(pointer: str) -> _Path:
    first, *parts = pointer.split("/")
    if first or _ESCAPE.search(pointer):
        raise PatchConflict(f'expected a JSON Pointer such as "/a/b", got "{pointer[:60]}"')
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def _value_of(step: Mapping[str, Json]) -> Json:
    if "value" not in step:
        raise PatchConflict('expected a "value", got none')
    return step["value"]


def _from(step: Mapping[str, Json]) -> _Path:
    if not isinstance(step.get("from"), str):
        raise PatchConflict('expected a "from", got none')
    return _parts(step["from"])


def _at(value: Json, path: _Path) -> tuple[Json, _Keys]:
    """Return the value at a path, and the path's keys."""
    keys: list[str | int] = []
    for segment in path:
        keys.append(_existing(value, segment))
        value = value[keys[-1]]
    return value, tuple(keys)


def _existing(container: Json, segment: str) -> str | int:
    """Return the key of an existing item."""
    if isinstance(container, list):
        index = _index(segment, len(container))
        if index < len(container):
            return index
    elif isinstance(container, dict) and segment in container:
        return segment
    raise PatchConflict(f'there is nothing at "{segment[:60]}"')


def _index(segment: str, size: int) -> int:
    if not _INDEX.fullmatch(segment) or int(segment) > size:
        raise PatchConflict(f'expected an index up to {size}, got "{segment[:60]}"')
    return int(segment)


def _weight(container: Json, key: str | int) -> int:
    """Return the size in bytes of an item within its container; 0 if it does not exist."""
    if isinstance(container, dict) and key not in container:
        return 0
    return len(msgspec.json.encode(container[key])) + (len(key) + 4 if isinstance(key, str) else 1)
