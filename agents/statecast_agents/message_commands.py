"""Apply the two built-in commands, `add-message` and `add-tool-result`, to the messages in a state.

A message with `source_id` is an edit: the messages after `parent_id` are removed. Without `source_id`, they are removed
only if the client had seen the current state (`agrees`), so a stale tab never deletes messages it has not seen. The
second message of a batch, whose parent is the same as the first's, removes nothing either: no client has seen what its
own batch adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET, UnsetType

from .calls import CUT_OFF, CallIndex, find_call
from .commands import AddMessage, AddToolResult, AnyCommand
from .errors import MessageConflict
from .ids import id_of, new_id
from .memory import Memory
from .message_list import Messages
from .tracked import TrackedDict
from .values import Json, plain_copy

__all__ = ["apply_commands", "check_commands"]


def check_commands(messages: Messages, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
    """Check that the built-in commands of a batch fit the messages, without applying any.

    Args:
        messages: The messages.
        commands: The batch, in order; the later ones are checked as if the earlier ones had been applied.
        agrees: Whether the client had seen the state as it is.

    Raises:
        MessageConflict: "unknown_parent", "unknown_tool_call", "tool_call_settled" or "no_messages".
    """
    _check(messages, commands, agrees, _index(messages, commands))


def apply_commands(
    messages: Messages, commands: Sequence[AnyCommand], *, agrees: bool, memory: Callable[[], Memory] | None = None
) -> None:
    """Apply the built-in commands of a batch to the messages, all or none.

    Args:
        messages: The messages.
        commands: The batch, in order.
        agrees: Whether the client had seen the state as it is.
        memory: Returns the memory, which goes back with the messages that are dropped.

    Raises:
        MessageConflict: As in `check_commands`; nothing was applied.
        NotJson: A state cannot hold a message or a result; it was not applied.
    """
    index = _index(messages, commands)
    _check(messages, commands, agrees, index)
    for command in commands:
        if isinstance(command, AddMessage):
            _add_message(messages, command, agrees, memory)
            agrees = False
        elif isinstance(command, AddToolResult):
            _add_result(messages, command, index)


def _index(messages: Messages, commands: Sequence[AnyCommand]) -> CallIndex | None:
    """Return an index to find the calls of a batch; None if it has at most one result."""
    if len(commands) < 2:
        return None
    results = sum(isinstance(command, AddToolResult) for command in commands)
    return CallIndex(messages._peek()) if results > 1 else None


def _check(messages: Messages, commands: Sequence[AnyCommand], agrees: bool, index: CallIndex | None) -> None:
    size = len(messages)  # how many of the present messages the batch keeps
    settled: set[tuple[Json, str]] = set()
    for command in commands:
        if isinstance(command, AddMessage):
            messages._require_list()
            size = _kept(messages, command, agrees, size)
            agrees = False
        elif isinstance(command, AddToolResult):
            _open_call(messages._peek()[:size], command, settled, index)
            settled.add((command.message_id, command.tool_call_id))


def _add_message(messages: Messages, command: AddMessage, agrees: bool, memory: Callable[[], Memory] | None) -> None:
    items = messages._peek()
    keep = _kept(messages, command, agrees, len(items))
    given = command.message.id
    is_new = not isinstance(given, UnsetType) and messages._place(given, keep) is None
    message: dict[str, Json] = {
        "id": given if is_new else new_id("msg"),
        "role": command.message.role,
        "parts": command.message.parts,
    }
    if command.message.metadata is not UNSET:
        message["metadata"] = command.message.metadata
    dropped = _dropped(items, keep, message)
    if keep < len(items):
        ids = [id_of(item) for item in items]
        messages.items[keep:] = [message]
        if memory is not None:
            memory().cut(ids, keep)
    else:
        messages.append(message)
    messages.dropped += dropped


def _add_result(messages: Messages, command: AddToolResult, index: CallIndex | None) -> None:
    part = _open_call(messages._peek(), command, set(), index)
    settled: dict[str, Json] = {"result": command.result, "isError": command.is_error}
    if command.artifact is not UNSET:
        settled["artifact"] = command.artifact
    if command.model_content is not UNSET:
        settled["modelContent"] = command.model_content
    part.update(settled)


def _kept(messages: Messages, command: AddMessage, agrees: bool, size: int) -> int:
    """Return how many of the first `size` messages stay before the new one."""
    parent = command.parent_id
    if command.source_id is not None:
        if parent is None:
            return 0
        at = messages._place(parent, size)
        if at is not None:
            return at + 1
        source = messages._place(command.source_id, size) if parent is UNSET else None
        if source is not None:
            return source
        name = "none" if parent is UNSET else f'"{parent}"'
        raise MessageConflict("unknown_parent", f"expected parentId to name a message of the thread, got {name}")
    at = messages._place(parent, size) if agrees else None
    return size if at is None else at + 1


def _dropped(items: Sequence[Json], keep: int, new: dict[str, Json]) -> list[dict[str, Json]]:
    """Return the messages that `new` replaces, as entries of `Messages.dropped`."""
    parent = id_of(items[keep - 1]) if keep else None
    found: list[dict[str, Json]] = []
    for message in plain_copy(items[keep:]):
        if id_of(message) != new["id"]:
            found.append({"parentId": parent, "message": message})
        elif message.get("parts") != new["parts"]:
            message["id"] = new_id("msg")
            found.append({"parentId": parent, "message": message})
        parent = id_of(message)
    return found


def _open_call(
    items: Sequence[Json], command: AddToolResult, settled: set[tuple[Json, str]], index: CallIndex | None
) -> TrackedDict:
    name = command.tool_call_id
    part = find_call(items, name, command.message_id, index)
    if part is None:
        raise MessageConflict("unknown_tool_call", f'expected toolCallId to name a tool call, got "{name[:100]}"')
    if "result" in part or (command.message_id, name) in settled:
        raise MessageConflict(
            "tool_call_settled", f'expected an open tool call, got "{name[:100]}", which has a result already'
        )
    if CUT_OFF in part:
        raise MessageConflict(
            "tool_call_settled", f'expected an open tool call, got "{name[:100]}", which was stopped with its run'
        )
    return part
