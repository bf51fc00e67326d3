"""Patches from clients: applied whole or not at all, within the writable parts of a state."""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as brief

from statecast.protocol.json_patch import Budget, Edit, PatchConflict, Patching
from statecast.protocol.messages.state_messages import id_of, items_in
from statecast_agents import Document, Json

from .errors import InvalidPatch, NotWritable, PatchFailed
from .limits import Limits
from .runs.failures import validate
from .thread import Thread

__all__ = ["patch"]


def patch(thread: Thread, steps: Sequence[dict[str, Json]], limits: Limits) -> None:
    """Apply an RFC 6902 patch to a thread's state, in place. O(what it touches).

    The agent's memory goes back with the first message that the patch removes or replaces by one of another id. A patch
    that may do so costs O(messages).

    Raises:
        RequestError: `not_writable`; `patch_failed`; `state_too_large` or `patch_too_large`; `invalid_patch`,
            `invalid_state`, `forbidden_key` or `too_deep`. Nothing was applied.
    """
    for step in steps:
        _check(step, thread.agent.writable)
    size = len(thread.snapshot()[1])
    document = thread.document
    with document.lock:
        patching = Patching(document.root, Budget(size=size, limit=limits.state, values=limits.values))
        for number, step in enumerate(steps):
            try:
                patching.apply(step)
            except PatchConflict as error:
                named = f'{step["op"]} at "{step["path"][:100]}", operation {number} of the patch'
                raise PatchFailed(f"{named}, does not apply: {error}") from None
        if items_in(patching.value, thread.agent.pending) != document.list_at(thread.agent.pending):
            raise NotWritable("expected a patch that leaves the open questions as they are; answer them with a command")
        validate(thread.agent, patching.value)
        rearranges = any(_rearranges(edit, thread.agent.messages) for edit in patching.edits)
        before = _message_ids(thread) if rearranges else []
        for edit in patching.edits:
            _edit(document, edit)
        if before:
            after = _message_ids(thread)
            keep = next((at for at, id in enumerate(before) if after[at : at + 1] != [id]), len(before))
            if keep < len(before):
                thread.memory.cut(before, keep)


def _rearranges(edit: Edit, messages: Sequence[str] | None) -> bool:
    """Return whether an edit may change which messages there are: the list, what it is in, an item, or an item's id."""
    if messages is None:
        return False
    depth = len(messages)
    places = [edit.keys] if edit.source is None or not edit.moves else [edit.keys, edit.source]
    return any(
        tuple(keys[:depth]) == tuple(messages[: len(keys)]) and (len(keys) <= depth + 1 or keys[depth + 1 :] == ("id",))
        for keys in places
    )


def _message_ids(thread: Thread) -> list[Json]:
    return [id_of(item) for item in thread.document.list_at(thread.agent.messages)]


def _check(step: dict[str, Json], allowed: Sequence[str]) -> None:
    for name in ("path", "from"):
        pointer = step.get(name)
        if pointer is not None and not isinstance(pointer, str):
            raise InvalidPatch(f'expected "{name}" to be a JSON Pointer, got {brief(pointer)}')
        if pointer is not None and step.get("op") != "test" and not _writable(pointer, allowed):
            message = f'expected a path that clients may write, got "{pointer[:100]}"'
            raise NotWritable(message)
    if step.get("op") not in ("add", "remove", "replace", "move", "copy", "test") or step.get("path") is None:
        raise InvalidPatch(f"expected an RFC 6902 operation, got {brief(step)}")


def _writable(pointer: str, allowed: Sequence[str]) -> bool:
    return any(pointer == path or pointer.startswith(path + "/") for path in allowed)


def _edit(document: Document, edit: Edit) -> None:
    value = edit.value
    if edit.source is not None:
        value = _at(document, edit.source)
        if edit.moves:
            del _at(document, edit.source[:-1])[edit.source[-1]]
    if not edit.keys:
        document.root = value
        return
    parent, key = _at(document, edit.keys[:-1]), edit.keys[-1]
    if edit.kind == "remove":
        del parent[key]
    elif edit.kind == "set":
        parent[key] = value
    elif key == len(parent):
        parent.append(value)
    else:
        parent.insert(key, value)


def _at(document: Document, keys: Sequence[str | int]) -> Json:
    value = document.root
    for key in keys:
        value = value[key]
    return value
