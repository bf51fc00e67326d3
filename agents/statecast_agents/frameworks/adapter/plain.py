"""Read values from the providers' packages, independent of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statecast_agents.values import Json

__all__ = ["attribute", "counts", "plain"]


def plain(value: Any) -> Json:
    """Return a value of a provider's package as plain JSON, without fields that are None.

    Models are dumped as their package does it; a value of any other class becomes its text.
    """
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json", exclude_none=True))
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def attribute(value: Any, *names: str) -> Any:
    """Return the attribute at the end of a chain of names; None where one is missing."""
    for name in names:
        value = getattr(value, name, None)
    return value


def counts(**numbers: Any) -> dict[str, int]:
    """Return the numbers of tokens that the provider reported."""
    return {name: number for name, number in numbers.items() if isinstance(number, int)}
