"""Commit: make the messages in the thread match the framework's own messages.

Rule: the framework's messages decide order and content. A message that was shown and is not among them stays where it
was, unless it is `droppable`: this run has shown or committed it, continues without it, and it has no open call.

Only the difference is written, and a text that continues the shown one is sent as an addition. Kinds of parts that
models do not write, such as data or sources, stay unless the framework commits parts of that kind.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from statecast_agents.arguments import arguments_text, state_arguments
from statecast_agents.calls import NESTED
from statecast_agents.message import COMPLETE, Message, MessageList
from statecast_agents.tracked import TrackedDict, TrackedList
from statecast_agents.values import Json

__all__ = ["commit", "has_open_call", "write_parts"]

#: Part kinds that models write: one that is not committed is taken out.
_OF_MODELS: Final = frozenset({"text", "reasoning", "tool-call"})


def commit(
    shown: MessageList,
    messages: Sequence[Mapping[str, Json]],
    droppable: Container[str],
    unchanged: Container[str] = (),
) -> None:
    """Bring the messages in a state in line with a framework's.

    Args:
        shown: The messages in the state, or a sub-agent's in a tool call.
        messages: The framework's: `{"id", "role", "parts"}`, and perhaps `metadata`, with parts as in a state. Of two
            with one id, the last counts, at the place of the first. A tool call without `result` leaves the result
            that is there; one without `argsText` leaves the text that its arguments were streamed as.
        droppable: The ids of messages that leave the state if they are not among `messages`, and have no open call.
        unchanged: The ids of messages whose content is in the state already, and need not be compared.

    Raises:
        NotJson: A state cannot hold one of the messages.
    """
    items = shown.items
    given = {message["id"]: message for message in messages}
    present: dict[Json, TrackedDict] = {}
    staying: dict[Json, list[Json]] = {}  # those that are not given, by the id of the given one that they follow
    place: Json = None
    for item in items:
        id = _id(item)
        if id in given and id not in present:
            place = id
            present[id] = item
        elif id not in droppable or has_open_call(shown._read(item)):
            staying.setdefault(place, []).append(item)
    order: list[Json] = staying.get(None, [])
    for id, message in given.items():
        order.append(present[id] if id in present else _new_message(message, shown.field))
        order += staying.get(id, ())
    _arrange(items, order)
    for id, item in present.items():
        if id not in unchanged:
            _write_message(item, given[id], shown.field)


def write_parts(parts: TrackedList, given: Sequence[Mapping[str, Json]]) -> None:
    """Bring the parts of a message in line with a framework's.

    Args:
        parts: The parts in the state.
        given: The framework's, in order. Calls are matched by `toolCallId`, others by their kind and order.

    Raises:
        NotJson: A state cannot hold one of the parts.
    """
    if parts == given:
        return
    kinds = {part["type"] for part in given}
    free: dict[Any, list[TrackedDict]] = {}
    for part in parts:
        free.setdefault(_key(part), []).append(part)
    pairs = [(each, _take(free, each)) for each in given]
    place: int | None = None  # the id of the written part that came last
    staying: dict[int | None, list[Json]] = {}
    written = {id(part) for _, part in pairs if part is not None}
    for part in parts:
        if id(part) in written:
            place = id(part)
        elif isinstance(part, dict) and part.get("type") not in _OF_MODELS | kinds:
            staying.setdefault(place, []).append(part)
    order: list[Json] = staying.get(None, [])
    for each, part in pairs:
        order.append(_new_part(each) if part is None else part)
        order += staying.get(id(part), ())
    _arrange(parts, order)
    for each, part in pairs:
        if part is not None:
            _write_part(part, each)


def has_open_call(message: Message) -> bool:
    """Return whether a message has a tool call that can still get a result."""
    return any(call.open for call in message.tool_calls)


def _write_message(item: TrackedDict, given: Mapping[str, Json], field: str) -> None:
    if item.get("role") != given["role"]:
        item["role"] = given["role"]
    if isinstance(item.get(field), TrackedList):
        write_parts(item[field], given["parts"])
    else:
        item[field] = [*map(_new_part, given["parts"])]
    if given.get("metadata"):
        _update(item.setdefault("metadata", {}), given["metadata"])
    if "status" in item:  # it is complete, whatever became of the run that began it
        if field == NESTED:
            _update(item, {"status": COMPLETE})
        else:
            del item["status"]


def _new_message(given: Mapping[str, Json], field: str) -> dict[str, Json]:
    message: dict[str, Json] = {"id": given["id"], "role": given["role"], field: [*map(_new_part, given["parts"])]}
    if field == NESTED:
        more: dict[str, Json] = {"status": COMPLETE} if given["role"] == "assistant" else {"attachments": []}
        message |= more
        message["metadata"] = {"custom": {}}
    if given.get("metadata"):
        message["metadata"] = {**message.get("metadata", {}), **given["metadata"]}
    return message


def _new_part(given: Mapping[str, Json]) -> dict[str, Json]:
    if given["type"] != "tool-call":
        return {**given}
    args = given.get("args", {})
    return {"argsText": arguments_text(args), **given, "args": state_arguments(args)}


def _write_part(part: TrackedDict, given: Mapping[str, Json]) -> None:
    if given["type"] != "tool-call":
        for key in [key for key in part if key not in given]:
            del part[key]
        _update(part, given)
        return
    args = given.get("args", UNSET)
    if args is not UNSET and "argsText" not in given and not _says(part.get("argsText"), args):
        part["argsText"] = arguments_text(args)
    _update(part, given if args is UNSET else {**given, "args": state_arguments(args)})


def _update(item: TrackedDict, given: Mapping[str, Json]) -> None:
    for key, value in given.items():
        if key not in item or item[key] != value:
            item[key] = value


def _says(text: Json, args: Json) -> bool:
    """Return whether the text of a call's arguments is JSON that says them."""
    try:
        return bool(msgspec.json.decode(text or "{}") == args)
    except (msgspec.DecodeError, RecursionError, TypeError):
        return False


def _arrange(items: TrackedList, order: Sequence[Json]) -> None:
    """Make the items of a list be those of `order`; what they have in common at the beginning is left alone."""
    same = next(_differences(items, order))
    if same == len(items):
        items.extend(order[same:])
    else:
        items[same:] = order[same:]


def _differences(items: Sequence[Json], order: Sequence[Json]) -> Iterator[int]:
    shorter = min(len(items), len(order))
    yield from (index for index in range(shorter) if items[index] is not order[index])
    yield shorter


def _take(free: Mapping[Any, list[TrackedDict]], given: Mapping[str, Json]) -> TrackedDict | None:
    found = free.get(_key(given))
    return found.pop(0) if found else None


def _key(part: Json) -> Any:
    """Return what a part is matched by."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type")
    return (kind, part.get("toolCallId")) if kind == "tool-call" else kind


def _id(item: Json) -> Json:
    id = item.get("id") if isinstance(item, TrackedDict) else None
    return id if isinstance(id, str) else None
