"""Declared state types: they validate the states that clients send, create the first state, and have a JSON Schema.

A type is a msgspec struct, a dataclass, a TypedDict or any other type msgspec supports, or a pydantic model or
dataclass. It is checked where it is declared. A type whose own defaults are not a valid state is refused there, rather
than in every request.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Protocol

import msgspec

from .document import to_json
from .errors import NotJson, StateInvalid
from .values import Json, plain

__all__ = ["StateType"]


class _Pydantic(Protocol):
    """The part of a pydantic TypeAdapter that is used here; pydantic itself is not needed."""

    def validate_json(self, data: bytes) -> Any: ...
    def dump_python(self, instance: Any, *, mode: str, by_alias: bool, warnings: bool) -> Any: ...
    def json_schema(self) -> dict[str, Any]: ...


class StateType:
    """The type an agent declares for its state.

    Args:
        declared: The type; None for an untyped state.

    Raises:
        TypeError: No state could be of that type: it has fields that are none of it, or that no JSON can be, or its
            own defaults do not fit it.
    """

    def __init__(self, declared: Any = None) -> None:
        self.declared = declared
        self._pydantic = _adapter(declared)
        if declared is not None:
            self._check()

    def validate(self, value: Json) -> None:
        """Check that `value` is a state of the declared type.

        Raises:
            StateInvalid: It is not, saying where and why.
        """
        if self.declared is None:
            return
        try:
            text = msgspec.json.encode(value)  # as JSON, since strict types take a date as text from JSON alone
            if self._pydantic is not None:
                self._pydantic.validate_json(text)
            else:
                msgspec.json.decode(text, type=self.declared)
        except ValueError as error:  # both libraries' validation errors are ValueErrors
            raise StateInvalid(f"expected a state of type {self.name}: {error}") from error

    @property
    def name(self) -> str:
        """The declared type's name, for people."""
        return getattr(self.declared, "__name__", str(self.declared))

    def initial(self) -> Json:
        """Return an instance of only defaults, as JSON; None if the type needs values, or none is declared.

        Raises:
            NotJson: A state cannot hold a default.
        """
        origin = typing.get_origin(self.declared)
        kind = origin or self.declared
        if not isinstance(kind, type) or (origin is not None and kind.__module__ == "builtins"):
            return None  # None itself, or one of several types, or `dict[str, int]`, which has no defaults
        if typing.is_typeddict(kind):
            return {} if self._takes({}) else None
        try:
            value = self.declared()
        except (TypeError, ValueError):  # a field without a default: the first state is the client's to give
            return None
        if self._pydantic is not None:
            return self._pydantic.dump_python(value, mode="json", by_alias=True, warnings=False)
        return _as_json(value)

    def json_schema(self) -> dict[str, Json] | None:
        """Return the JSON Schema of the declared type; None when none is declared."""
        if self.declared is None:
            return None
        if self._pydantic is not None:
            return self._pydantic.json_schema()
        return msgspec.json.schema(self.declared)

    def _takes(self, value: Json) -> bool:
        try:
            self.validate(value)
        except StateInvalid:
            return False
        return True

    def _check(self) -> None:
        fields = getattr(typing.get_origin(self.declared) or self.declared, "__dataclass_fields__", {})
        given = [name for name, field in fields.items() if isinstance(field.type, dataclasses.InitVar)]
        given += [name for name, field in fields.items() if str(field.type).startswith(("InitVar", "dataclasses.Init"))]
        if given:
            raise TypeError(f'{self._expected}, got an InitVar, "{given[0]}", which instances do not store')
        try:
            self.json_schema()
            first = self.initial()
            if first is not None:
                to_json(first)
                self.validate(first)
        except (NotJson, StateInvalid, TypeError, ValueError) as error:
            raise TypeError(f"{self._expected}: {error}") from error

    @property
    def _expected(self) -> str:
        return f"expected a type that a state can have, with defaults that are of that type, as {self.name}"


def _adapter(declared: Any) -> _Pydantic | None:
    """Return the TypeAdapter of a pydantic model or dataclass; None for other types."""
    if not hasattr(declared, "__pydantic_validator__"):
        return None
    from pydantic import TypeAdapter  # an agent that declares such a type has it

    adapter: Any = TypeAdapter(declared)
    return adapter  # type: ignore[no-any-return]  # its methods take more than is used here


def _as_json(value: Any) -> Json:
    """Return a default as JSON, also one that assignment would refuse, such as a set, as msgspec writes it.

    Raises:
        NotJson: There is no JSON for it.
    """
    if isinstance(value, dict):
        return {_key(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        made = plain(value)
    except NotJson:
        try:
            made = msgspec.to_builtins(value)
        except TypeError:
            raise NotJson("a default that JSON has a form for", f"{type(value).__name__} {value!r:.60}") from None
    return _as_json(made)


def _key(key: Any) -> str:
    named: dict[str, None] = msgspec.to_builtins({key: None}, str_keys=True)
    return next(iter(named))
