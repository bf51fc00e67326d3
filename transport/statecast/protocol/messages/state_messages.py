"""The messages in a state, whatever JSON the agent has put there: where they are, and their role, id and parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast_agents import Json

__all__ = ["id_of", "items_in", "list_in", "parts_of", "role_of", "without"]


def list_in(state: Json, path: Sequence[str] | None) -> list[Json] | None:
    """Return the list that a state has at `path`; None where it has none."""
    for key in path or ():
        state = state.get(key) if isinstance(state, dict) else None
    return state if path is not None and isinstance(state, list) else None


def items_in(state: Json, path: Sequence[str] | None) -> list[Json]:
    """Return the messages that a state has at `path`; none where it has no list there."""
    return list_in(state, path) or []


def without(state: Json, path: Sequence[str] | None) -> Json:
    """Return a state, or what it has at some path, without what it has at `path`."""
    if path is None or not isinstance(state, dict) or not path or path[0] not in state:
        return None if path == () else state
    if len(path) == 1:
        return {key: value for key, value in state.items() if key != path[0]}
    return {**state, path[0]: without(state[path[0]], path[1:])}


def role_of(message: Json) -> Json:
    """Return the role of a message; None if it has none."""
    return message.get("role") if isinstance(message, dict) else None


def id_of(message: Json) -> str | None:
    """Return the id of a message; None if it has none."""
    id = message.get("id") if isinstance(message, dict) else None
    return id if isinstance(id, str) else None


def parts_of(message: Json) -> list[dict[str, Any]]:
    """Return the parts of a message; what is no object is none."""
    parts = message.get("parts") if isinstance(message, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
