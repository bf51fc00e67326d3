"""Check a value against a JSON Schema, using the keywords that forms use. All other keywords are ignored.

Source: JSON Schema 2020-12, "Validation"; docs/protocol/questions.md, "Questions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .values import Json

__all__ = ["misfit"]

_TYPES: Final[Mapping[str, Callable[[Json], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": lambda value: _is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

#: Keyword → whether a value is within its bound, for values that the keyword applies to.
_BOUNDS: Final[Mapping[str, Callable[[Json, float], bool]]] = {
    "minLength": lambda value, bound: not isinstance(value, str) or len(value) >= bound,
    "maxLength": lambda value, bound: not isinstance(value, str) or len(value) <= bound,
    "minItems": lambda value, bound: not isinstance(value, list) or len(value) >= bound,
    "maxItems": lambda value, bound: not isinstance(value, list) or len(value) <= bound,
    "minimum": lambda value, bound: not _is_number(value) or value >= bound,
    "maximum": lambda value, bound: not _is_number(value) or value <= bound,
}


def misfit(value: Json, schema: Json, where: str = "") -> str | None:
    """Return what a schema expects that a value is not, for people; None if the value fits.

    Args:
        value: The value.
        schema: The JSON Schema: an object, or True or False. Anything else checks nothing.
        where: The value's place in the whole, as keys joined by `/`.
    """
    if schema is False:
        return _expected("nothing", where)
    if not isinstance(schema, dict):
        return None
    kinds = schema.get("type")
    named = [
        kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str) and kind in _TYPES
    ]
    if named and not any(_TYPES[kind](value) for kind in named):
        return _expected(" or ".join(named), where)
    for keyword, fits in _BOUNDS.items():
        bound = schema.get(keyword)
        if isinstance(bound, int | float) and not fits(value, bound):
            return _expected(f"{keyword} {bound:g}", where)
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(allowed, list) and not any(_same(value, one) for one in allowed):
        return _expected("one of " + ", ".join(f"{one!r:.40}" for one in allowed[:10]), where)
    return _misfit_within(value, schema, where) or _misfit_combined(value, schema, where)


def _misfit_within(value: Json, schema: Mapping[str, Json], where: str) -> str | None:
    if isinstance(value, list):
        found = (misfit(item, schema.get("items"), f"{where}/{index}") for index, item in enumerate(value))
        return next(filter(None, found), None)
    if not isinstance(value, dict):
        return None
    required, properties = schema.get("required"), schema.get("properties")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in value:
            return _expected(f'"{name}"', where)
    known = properties if isinstance(properties, dict) else {}
    others = schema.get("additionalProperties")
    for name, item in value.items():
        found_in = misfit(item, known.get(name, others), f"{where}/{name}")
        if found_in is not None:
            return found_in
    return None


def _misfit_combined(value: Json, schema: Mapping[str, Json], where: str) -> str | None:
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices:
            problems = [misfit(value, choice, where) for choice in choices]
            if None not in problems:
                return problems[0]
    every = schema.get("allOf")
    found = (misfit(value, one, where) for one in (every if isinstance(every, list) else ()))
    return next(filter(None, found), None)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Json, other: Json) -> bool:
    """Return whether two JSON values are equal; True is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _expected(what: str, where: str) -> str:
    return f'expected {what} at "{where[:100]}"' if where else f"expected {what}"
