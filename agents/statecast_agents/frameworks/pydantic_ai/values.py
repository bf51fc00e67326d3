"""Convert Python values of Pydantic AI's tools and events to JSON that a state can hold."""

from __future__ import annotations

from typing import Any

import pydantic_core

from statecast_agents.document import to_json
from statecast_agents.errors import NotJson
from statecast_agents.values import Json

__all__ = ["as_json"]


def as_json(value: Any) -> Json:
    """Return a value as JSON, as Pydantic serializes it; if a state cannot hold that, as its JSON text."""
    plain = pydantic_core.to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)
    try:
        return to_json(plain)
    except NotJson:
        return pydantic_core.to_json(plain).decode()
