"""Operations: their types, how they apply to plain JSON, and their conversion from and to RFC 6902.

`apply` is the reference for what a strict client does with an operation, including what it refuses.
Source: docs/protocol/state-and-operations.md, "Operations".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import jsonpatch
import msgspec

from .errors import OperationError
from .values import FORBIDDEN_KEYS, Json, plain_copy

__all__ = ["AppendText", "Operation", "Set", "apply", "decode", "diff", "encode", "from_json_patch", "to_json_patch"]


class Set(msgspec.Struct, frozen=True, tag_field="type", tag="set"):
    """Put `value` at `path`; the empty path replaces the whole state, an index equal to a list's length appends."""

    path: tuple[str, ...]
    value: Json


class AppendText(msgspec.Struct, frozen=True, tag_field="type", tag="append-text"):
    """Append `value` to the text at `path`."""

    path: tuple[str, ...]
    value: str


Operation = Set | AppendText

#: Changes in one list up to which nobody asks whether the whole list is shorter, as it is if its items have moved.
FEW: Final = 8

_decoder: Final = msgspec.json.Decoder(list[Operation])
_encoder: Final = msgspec.json.Encoder()
_INDEX: Final = re.compile("0|[1-9][0-9]{0,15}")


def decode(data: bytes) -> list[Operation]:
    """Read a JSON array of operations.

    Raises:
        OperationError: It is not one.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OperationError(f"expected a JSON array of operations: {error}") from error


def encode(operations: Iterable[Operation]) -> bytes:
    """Write operations as the JSON array that `decode` reads."""
    return _encoder.encode(list(operations))


def apply(state: Json, operations: Iterable[Operation]) -> Json:
    """Apply operations to `state` as a strict client does, and return the result, which shares unchanged parts with it.

    Raises:
        OperationError: An operation that a strict client refuses.
    """
    for operation in operations:
        state = _apply_at(state, operation.path, 0, operation)
    return state


def check_path(state: Json, path: Sequence[str]) -> None:
    """Check that a value can be set at `path` of `state`.

    Raises:
        OperationError: A strict client would refuse it.
    """
    for segment in path:
        if segment in FORBIDDEN_KEYS:
            raise OperationError(f"expected a path that the clients accept, got the reserved segment {segment!r}")
        if isinstance(state, list):
            index = list_index(segment, len(state), path)
            state = state[index] if index < len(state) else None
        elif state is None or isinstance(state, dict):
            state = None if state is None else state.get(segment)
        else:
            raise OperationError(f"expected a container above {_pointer(path)!r}, got {type(state).__name__}")


def keys_of(state: Json, path: Sequence[str]) -> list[str | int]:
    """Return a path's segments as keys: indexes as ints where `state` has lists."""
    keys: list[str | int] = []
    for segment in path:
        key: str | int = list_index(segment, len(state), path) if isinstance(state, list) else segment
        keys.append(key)
        inside = key in state if isinstance(state, dict) else isinstance(key, int) and key < len(state)
        state = state[key] if inside else None
    return keys


def _apply_at(current: Json, path: Sequence[str], depth: int, operation: Operation) -> Json:
    if depth == len(path):
        if isinstance(operation, Set):
            return operation.value
        if not isinstance(current, str):
            raise OperationError(f"expected a text at {_pointer(path)!r} to append to, got {type(current).__name__}")
        return current + operation.value
    segment = path[depth]
    if segment in FORBIDDEN_KEYS:
        raise OperationError(f"expected a path that the clients accept, got the reserved segment {segment!r}")
    if current is None:
        current = {}
    if isinstance(current, list):
        index = list_index(segment, len(current), path)
        below = current[index] if index < len(current) else None
        return [*current[:index], _apply_at(below, path, depth + 1, operation), *current[index + 1 :]]
    if isinstance(current, dict):
        return {**current, segment: _apply_at(current.get(segment), path, depth + 1, operation)}
    raise OperationError(f"expected a container above {_pointer(path)!r}, got {type(current).__name__}")


def list_index(segment: str, size: int, path: Sequence[str]) -> int:
    """Return a path segment as an index into a list of `size` items, as strict clients read it.

    Raises:
        OperationError: It is no index, or one beyond the end.
    """
    if not _INDEX.fullmatch(segment):
        raise OperationError(f"expected a list index in {_pointer(path)!r}, got {segment!r}")
    index = int(segment)
    if index > size:
        raise OperationError(f"expected an index up to {size} in {_pointer(path)!r}, got {index}")
    return index


def to_json_patch(before: Json, operations: Iterable[Operation]) -> list[dict[str, Json]]:
    """Return operations as an RFC 6902 patch of `before`.

    JSON Patch has no append to a text, so that becomes a `replace` with the whole text; and no making of missing
    parents, so those come as operations of their own.

    Raises:
        OperationError: An operation that does not fit `before`.
    """
    patch: list[dict[str, Json]] = []
    state = before
    for operation in operations:
        after = apply(state, [operation])
        patch.append(_patch_of(state, after, operation.path))
        state = after
    return patch


def _patch_of(before: Json, after: Json, path: Sequence[str]) -> dict[str, Json]:
    """Return the patch operation for a change at `path`, or at the first parent that `before` lacks."""
    walked: list[str] = []
    for segment in path:
        exists = _has(before, segment)
        if before is None:
            break
        walked.append(segment)
        after = _at(after, segment)
        if not exists:
            return {"op": "add", "path": _pointer(walked), "value": after}
        before = _at(before, segment)
    return {"op": "replace", "path": _pointer(walked), "value": after}


def from_json_patch(before: Json, patch: Sequence[dict[str, Json]]) -> list[Operation]:
    """Return an RFC 6902 patch of `before` as operations. `test` operations are checked, and add none.

    Raises:
        OperationError: The patch is malformed, does not fit, or one of its tests failed. jsonpatch is the judge.
    """
    operations: list[Operation] = []
    state = before
    for step in patch:
        try:
            after = jsonpatch.apply_patch(plain_copy(state), [step])
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
            raise OperationError(f"JSON Patch operation {step!r:.200} does not apply: {error}") from error
        operations.extend(diff(state, after))
        state = after
    return operations


def diff(before: Json, after: Json, path: Sequence[str] = ()) -> list[Operation]:
    """Return the smallest operations that turn one whole state, or what it has at `path`, into another.

    For agents that produce whole states; tracked mutation costs less.
    """
    operations: list[Operation] = []
    _diff(before, after, tuple(path), operations.append)
    return operations


def _diff(before: Json, after: Json, path: tuple[str, ...], emit: Callable[[Operation], None]) -> None:
    if before is after:
        return
    if isinstance(before, str) and isinstance(after, str) and after.startswith(before):
        if len(after) > len(before):
            emit(AppendText(path, after[len(before) :]))
    elif isinstance(before, dict) and isinstance(after, dict) and before.keys() <= after.keys():
        for key, value in after.items():
            if key not in before:
                emit(Set((*path, key), value))
            elif not _same(old := before[key], value):
                _diff(old, value, (*path, key), emit)
    elif isinstance(before, list) and isinstance(after, list) and len(before) <= len(after) and (before or not after):
        changed: list[Operation] = []
        for index, value in enumerate(after):
            if index >= len(before):
                changed.append(Set((*path, str(index)), value))
            elif not _same(old := before[index], value):
                _diff(old, value, (*path, str(index)), changed.append)
        whole = Set(path, after)
        for operation in [whole] if len(changed) > FEW and _is_shorter(whole, changed) else changed:
            emit(operation)
    elif not _same(before, after):
        emit(Set(path, after))


def _is_shorter(one: Operation, others: list[Operation]) -> bool:
    return len(encode([one])) < len(encode(others))


def _same(one: Json, other: Json) -> bool:
    """Return whether two scalars are the same JSON: True is not 1. Of containers only their being one object counts."""
    if one is other:
        return True
    kind = type(other)
    if kind is str or kind is int:
        return type(one) is kind and bool(one == other)
    if kind is dict or kind is list:
        return False
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other) and not isinstance(one, (dict, list))


def _has(value: Json, segment: str) -> bool:
    if isinstance(value, list):
        return int(segment) < len(value)
    return isinstance(value, dict) and segment in value


def _at(value: Json, segment: str) -> Any:
    return value[int(segment)] if isinstance(value, list) else value[segment]


def _pointer(path: Iterable[str]) -> str:
    return "".join("/" + segment.replace("~", "~0").replace("/", "~1") for segment in path)
