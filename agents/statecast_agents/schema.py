"""Declared state types: validation of what a client hands over, the first state, and a JSON Schema.

A msgspec struct, a dataclass, a TypedDict or any other type msgspec knows; or a pydantic model.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from .errors import StateInvalid
from .values import Json

__all__ = ["StateType"]


class _Pydantic(Protocol):
    """The part of a pydantic model class that is used here; pydantic itself is not needed."""

    def model_validate(self, obj: Any) -> Any: ...
    def model_json_schema(self) -> dict[str, Any]: ...


class StateType:
    """The type an agent declares for its state.

    Args:
        declared: The type; None for an untyped state.
    """

    def __init__(self, declared: Any = None) -> None:
        self.declared = declared
        self._pydantic: _Pydantic | None = declared if hasattr(declared, "model_validate") else None

    def validate(self, value: Json) -> None:
        """Check that `value` is a state of the declared type.

        Raises:
            StateInvalid: It is not, saying where and why.
        """
        if self.declared is None:
            return
        try:
            if self._pydantic is not None:
                self._pydantic.model_validate(value)
            else:
                msgspec.convert(value, self.declared)
        except ValueError as error:  # both libraries' validation errors are ValueErrors
            raise StateInvalid(f"expected a state of type {self.name}: {error}") from error

    @property
    def name(self) -> str:
        """The declared type's name, for people."""
        return getattr(self.declared, "__name__", str(self.declared))

    def initial(self) -> Json:
        """Return an instance made of defaults alone; None when the type has none, or none is declared."""
        if self.declared is None or not isinstance(self.declared, type):
            return None
        if getattr(self.declared, "__required_keys__", None):  # a TypedDict, which makes itself without them
            return None
        try:
            return self.declared()
        except (TypeError, ValueError):  # a field without a default: the first state is the client's to give
            return None

    def json_schema(self) -> dict[str, Json] | None:
        """Return the JSON Schema of the declared type; None when none is declared."""
        if self.declared is None:
            return None
        if self._pydantic is not None:
            return self._pydantic.model_json_schema()
        return msgspec.json.schema(self.declared)
