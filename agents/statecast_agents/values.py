"""The values that a state can hold: JSON, checked where it is assigned.

Python has more values than JSON, and JSON has more than the published clients accept. Both differences are refused at
the line that assigns them. So a client always computes the same state as the server.
Source: docs/protocol/state-and-operations.md, "What a state can hold".
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import reprlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from .errors import NotJson
from .surrogates import join_surrogates

__all__ = [
    "FORBIDDEN_KEYS",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "Json",
    "StateView",
    "check_key",
    "check_scalar",
    "is_javascript_integer",
    "plain",
    "plain_copy",
]

#: A JSON value: None, bool, int, float, str, or a list or str-keyed dict of them. `Any`, because every read of a
#: state would otherwise need a cast.
Json: TypeAlias = Any

#: JavaScript's Number.MAX_SAFE_INTEGER: a client would round most integers beyond it, see `is_javascript_integer`.
MAX_INTEGER: Final = 2**53 - 1

#: Containers within containers. Below the 128 that a request may nest, because a client posts the state inside a body.
MAX_DEPTH: Final = 120

#: The published clients refuse these as path segments, and some of them inside values.
FORBIDDEN_KEYS: Final = frozenset({"__proto__", "constructor", "prototype"})

_ISO: Final = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)
_Iso: TypeAlias = datetime.datetime | datetime.date | datetime.time | datetime.timedelta | uuid.UUID


def check_key(key: object) -> str:
    """Return `key` as an exact str that the clients accept as an object's key.

    Raises:
        NotJson: It is no string, holds a lone surrogate, or is one of `FORBIDDEN_KEYS`.
    """
    if type(key) is not str:
        if isinstance(key, enum.Enum):
            return check_key(key.value)
        if not isinstance(key, str):
            raise NotJson("a string as key", _describe(key))
        key = str.__str__(key)
    if key in FORBIDDEN_KEYS:
        raise NotJson("a key that the clients accept", f"the reserved name {key!r}")
    return key if key.isascii() else _joined(key)


def is_javascript_integer(integer: int) -> bool:
    """Return whether an integer survives JavaScript: its double, as JavaScript prints it, is the same number.

    All up to `MAX_INTEGER` do; of larger ones, only those with zeros from the 17th digit on, at most.
    """
    if -MAX_INTEGER <= integer <= MAX_INTEGER:
        return True
    try:
        return decimal.Decimal(repr(float(integer))) == integer
    except OverflowError:
        return False


def check_scalar(value: Json) -> Json:
    """Check a value whose exact type is one of JSON's scalars, and return it, a text with its surrogate pairs joined.

    Raises:
        NotJson: A number that is not finite, an integer that JavaScript would round, or a text with a lone surrogate.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _joined(value)
    if kind is int:
        if not is_javascript_integer(value):
            raise NotJson("an integer that JavaScript can hold; send larger ones as strings", _describe(value))
    elif kind is float and not math.isfinite(value):
        raise NotJson("a finite number", _describe(value))
    return value


class StateView:
    """Shows a dict or a list of a state as something else; see `typed_view`."""

    __slots__ = ("_raw",)
    _raw: Json


def plain(value: object) -> Json:
    """Convert a value that is not of JSON's exact types into one that is, one level deep.

    Dataclasses, msgspec structs and pydantic models become dicts; tuples become lists; datetimes, dates, times,
    timedeltas and UUIDs their ISO strings; enums their values; subclasses of str, int and float the plain value.

    Raises:
        NotJson: JSON has no form for it.
    """
    if isinstance(value, StateView):
        return plain(value._raw)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, _ISO):
        return msgspec.to_builtins(_exact(value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(type(value), "model_dump", None)
    if dump is not None:
        return dump(value, by_alias=True)
    raise NotJson("a JSON value", _describe(value))


def plain_copy(value: Json) -> Json:
    """Return a deep copy of `value` made of plain dicts and lists."""
    if isinstance(value, dict):
        return {key: plain_copy(item) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [plain_copy(item) for item in list.__iter__(value)]
    return value


def _exact(value: _Iso) -> _Iso:
    """Return `value` as its base type, since msgspec refuses subclasses such as those of pandas and freezegun."""
    if type(value) in _ISO:
        return value
    if isinstance(value, datetime.timedelta):
        return datetime.timedelta(value.days, value.seconds, value.microseconds)
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=value.int)
    kind = next(kind for kind in (datetime.datetime, datetime.date, datetime.time) if isinstance(value, kind))
    return kind.fromisoformat(kind.isoformat(value))  # type: ignore[arg-type]  # `kind` is a base of its class


def _struct(value: msgspec.Struct) -> Json:
    config = value.__struct_config__
    fields = list(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
    tag = [] if config.tag is None else [(config.tag_field, config.tag)]
    pairs: Iterable[tuple[str | None, Any]] = [*tag, *((wire, getattr(value, name)) for wire, name in fields)]
    if config.array_like:
        return [item for _, item in pairs]
    return {name: item for name, item in pairs if item is not msgspec.UNSET}


def _joined(text: str) -> str:
    """Return `text` with its surrogate pairs joined."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        whole, half = join_surrogates(text)
    if half:
        raise NotJson("text without lone surrogates", f"{half!r} at character {len(whole)}")
    return whole


def _describe(value: object) -> str:
    name = type(value).__name__
    hint = ""
    if isinstance(value, (set, frozenset)):
        hint = "; use a list, as in sorted(...)"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        hint = "; use text, as in base64.b64encode(...).decode()"
    elif isinstance(value, Mapping):
        hint = "; use dict(...)"
    return f"{name} {reprlib.repr(value)}{hint}"
