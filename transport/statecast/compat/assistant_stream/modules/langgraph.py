"""Adds the events of LangGraph's `astream` to a state, as `assistant-stream` does.

`statecast.frameworks.LangGraphAgent` does more: approvals, sub-agents, edits, and a run that survives its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statecast.compat.assistant_stream.create_run import RunController
from statecast_agents import Json, to_json

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk

__all__ = ["append_langgraph_event", "get_tool_call_subgraph_state"]


def append_langgraph_event(state: dict[str, Json], _namespace: object, type: str, payload: Any) -> None:
    """Add an event of `graph.astream(…, stream_mode=["messages", "updates"])` to a state.

    Args:
        state: The state, a dict; messages are added to its `messages`.
        _namespace: Where in the graph the event comes from; unused.
        type: The stream mode; others than the two are left out.
        payload: What LangGraph yields in that mode.
    """
    if type == "messages":
        _add_message(state.setdefault("messages", []), payload[0])
    elif type == "updates":
        for channels in payload.values():
            if isinstance(channels, dict):
                state.update({name: _plain(value) for name, value in channels.items() if name != "messages"})


def get_tool_call_subgraph_state(
    controller: RunController,
    namespace: Sequence[str],
    subgraph_node: str | Sequence[str] | Callable[[list[str]], bool],
    default_state: dict[str, Json],
    *,
    artifact_field_name: str | None = None,
    tool_name: str | Sequence[str] | None = None,
) -> dict[str, Json]:
    """Return the part of the state that a subgraph under a tool call has: the artifact of the call's tool message.

    Args:
        controller: Of the run; a state that is None becomes `default_state`.
        namespace: Where in the graph the event comes from: `node:task` for each level.
        subgraph_node: The nodes that run subgraphs: a name, several, or a function of a list of one name.
        default_state: The subgraph's state at first.
        artifact_field_name: The field of the artifact that has it; None: the artifact itself.
        tool_name: The tools whose calls run subgraphs; None: any.
    """
    if controller.state is None:
        controller.state = default_state
    state: dict[str, Json] = controller.state
    for level in namespace:
        if not _is_subgraph(level.partition(":")[0], subgraph_node):
            continue
        messages = state.get("messages")
        if not messages:
            return state
        if messages[-1]["type"] == "ai":
            calls = messages[-1].get("tool_calls")
            if not calls or not _names(tool_name, calls[-1]["name"]):
                return state
            messages.append(_tool_message(calls[-1], {} if artifact_field_name else default_state))
        if messages[-1]["type"] == "tool":
            artifact = _artifact_of(messages[-1], {} if artifact_field_name else default_state)
            if artifact_field_name is None:
                return artifact
            found: dict[str, Json] = artifact.setdefault(artifact_field_name, default_state)
            return artifact[artifact_field_name] if found is default_state else found
    return state


def _add_message(messages: list[Json], message: Any) -> None:
    """Add a message: to the one of its id if it is a chunk, in place of that one otherwise, or at the end."""
    from langchain_core.messages import AIMessageChunk  # an extra

    chunk = message if isinstance(message, AIMessageChunk) else None
    added = _dumped(message)
    place = next((place for place in reversed(range(len(messages))) if _is_same(messages[place], added)), None)
    if place is None:
        messages.append(added)
    elif chunk is None:
        messages[place] = added
    elif _is_text(chunk) and isinstance(messages[place].get("content"), str):
        messages[place]["content"] += chunk.content  # costs what is added
    else:
        before = AIMessageChunk(**{**to_json(messages[place]), "type": "AIMessageChunk"})
        _change(messages[place], _dumped(before + chunk))


def _is_text(chunk: AIMessageChunk) -> bool:
    """Return whether a chunk holds nothing but text."""
    more = (chunk.tool_call_chunks, chunk.additional_kwargs, chunk.response_metadata, chunk.usage_metadata)
    last = getattr(chunk, "chunk_position", None) is not None  # a field of newer versions
    return isinstance(chunk.content, str) and not any(more) and not last


def _dumped(message: Any) -> dict[str, Json]:
    dumped = _plain(message)
    return {**dumped, "type": "ai"} if dumped["type"] == "AIMessageChunk" else dumped


def _plain(value: Any) -> Json:
    """Return a value with plain dicts in place of the messages in it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


def _is_same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    return any(other.get(key) is not None and one.get(key) == other[key] for key in ("id", "tool_call_id"))


def _change(before: Json, after: Json) -> None:
    """Change a dict or list of the state into another one, where they differ."""
    if isinstance(before, dict):
        for key in before.keys() - after.keys():
            del before[key]
        for key, value in after.items():
            if key in before:
                _change_at(before, key, value)
            else:
                before[key] = value
    else:
        del before[len(after) :]
        for place, value in enumerate(after):
            if place < len(before):
                _change_at(before, place, value)
            else:
                before.append(value)


def _change_at(container: Any, key: Any, value: Json) -> None:
    found = container[key]
    same_kind = (isinstance(found, dict) and isinstance(value, dict)) or (
        isinstance(found, list) and isinstance(value, list)
    )
    if same_kind:
        _change(found, value)
    elif found != value:
        container[key] = value


def _is_subgraph(node: str, wanted: str | Sequence[str] | Callable[[list[str]], bool]) -> bool:
    return wanted([node]) if callable(wanted) else _names(wanted, node)


def _names(wanted: str | Sequence[str] | None, name: str) -> bool:
    if wanted is None:
        return True
    return name == wanted if isinstance(wanted, str) else name in wanted


def _tool_message(call: Mapping[str, Json], artifact: dict[str, Json]) -> dict[str, Json]:
    from langchain_core.messages import ToolMessage  # an extra

    message = ToolMessage(
        content="",
        tool_call_id=call["id"],
        name=call["name"],
        artifact=artifact,
        additional_kwargs={"streaming": True},
    )
    return message.model_dump()


def _artifact_of(message: dict[str, Json], default: dict[str, Json]) -> dict[str, Json]:
    if message.get("artifact") is None:
        message["artifact"] = default
    artifact: dict[str, Json] = message["artifact"]
    return artifact
