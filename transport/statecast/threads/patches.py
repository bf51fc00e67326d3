"""Patches from clients: which parts of a state they may write, and what a patch amounts to. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence

from statecast.protocol.refusal import Refusal
from statecast_agents import Json, NotJson, Operation, OperationError, StateInvalid, operations, to_json

from .thread import Thread

__all__ = ["patched"]


def patched(thread: Thread, steps: Sequence[dict[str, Json]]) -> list[Operation]:
    """Return the operations that an RFC 6902 patch of a thread's state amounts to.

    Raises:
        Refusal: 403 `not_writable`; 409 `patch_failed`; 422 `invalid_patch`, `invalid_state`.
    """
    for step in steps:
        for name in ("path", "from"):
            pointer = step.get(name)
            if pointer is not None and not isinstance(pointer, str):
                raise Refusal(422, "invalid_patch", f'expected "{name}" to be a JSON Pointer, got {pointer!r:.60}')
            if pointer is not None and step.get("op") != "test" and not _writable(pointer, thread.agent.writable):
                message = f'expected a path that clients may write, got "{pointer[:100]}"'
                raise Refusal(403, "not_writable", message)
        if step.get("op") not in ("add", "remove", "replace", "move", "copy", "test") or "path" not in step:
            raise Refusal(422, "invalid_patch", f"expected an RFC 6902 operation, got {step!r:.100}")
    before = thread.document.root
    try:
        changes = operations.from_json_patch(before, steps)
        after = operations.apply(before, changes)
        to_json(after)
        thread.agent.state_type.validate(after)
    except OperationError as error:
        raise Refusal(409, "patch_failed", str(error)) from None
    except (NotJson, StateInvalid) as error:
        raise Refusal(422, error.code, str(error)) from None
    return changes


def _writable(pointer: str, allowed: Sequence[str]) -> bool:
    return any(pointer == path or pointer.startswith(path + "/") for path in allowed)
