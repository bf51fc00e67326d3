"""The fields of requests: what they are to be, and the errors that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from .errors import InvalidRequest, RequestError

__all__ = ["chosen", "fields_as", "fields_of", "string_at", "unexpected"]

_T = TypeVar("_T")


def unexpected(where: str, expected: str, got: object, *, param: str | None = None) -> InvalidRequest:
    """Return the error of a place in a request that has something else than was expected."""
    return InvalidRequest(f"in {where}: expected {expected}, got {got!r:.80}", param=param)


def string_at(value: object, where: str, *, expected: str = "a string") -> str:
    """Return a value that has to be a string.

    Raises:
        RequestError: `invalid_request`.
    """
    if not isinstance(value, str):
        raise unexpected(where, expected, value)
    return value


def chosen(name: str | None, among: Mapping[str, _T], noun: str, error: Callable[[str], RequestError]) -> _T:
    """Return what has a name; the first of all if none is given.

    Args:
        name: As it was given.
        among: What there is, by name.
        noun: What it is, with its article.
        error: The class of the error.

    Raises:
        RequestError: An `error`: nothing has that name.
    """
    if name is None:
        return next(iter(among.values()))
    if name not in among:
        known = ", ".join(f'"{known}"' for known in among)
        raise error(f'expected {noun} out of {known}, got "{name[:60]}"')
    return among[name]


def fields_of(type: Any) -> list[str]:
    """Return the names that the fields of a struct have in JSON."""
    return [field.encode_name for field in msgspec.structs.fields(type)]


def fields_as(type: Any, given: Mapping[str, Any], *, where: str | None = None) -> Any:  # as in msgspec
    """Return a struct made of those of its fields that are given, and not null.

    Raises:
        RequestError: `invalid_request`.
    """
    try:
        return msgspec.convert({name: given[name] for name in fields_of(type) if given.get(name) is not None}, type)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}" if where is None else f"in {where}: {error}") from None
