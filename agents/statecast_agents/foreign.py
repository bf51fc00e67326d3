"""Foreign values: the state of an agent framework, converted to JSON as far as JSON can express it.

An assignment to a state rejects values that JSON cannot express, because they are mistakes in the agent's code. The
values of a framework are nobody's mistake. So this module converts generously, and omits what it cannot convert.
Source: docs/guides/state.md, "States of frameworks".

Rule 1: nothing in a value makes the conversion raise, except its size. Values may contain code, such as a pydantic
serializer; if it fails, only that value is omitted.
Rule 2: equal values convert to equal JSON, so that unchanged values are not sent again. Sets are therefore sorted.
"""

from __future__ import annotations

import decimal
import enum
import logging
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set, Sized
from typing import Any, Final, TypeAlias

import msgspec

from .errors import NotJson, StateTooLarge
from .values import FORBIDDEN_KEYS, MAX_DEPTH, MAX_INTEGER, Json, is_javascript_integer, plain

__all__ = ["LeftOut", "Select", "to_state"]

#: Which keys of a value are converted: these, or those for which a function returns true.
Select: TypeAlias = Collection[str] | Callable[[str], Any]

#: Bytes of JSON that a value converts to, unless the caller says otherwise: as much as a state holds by default.
MAX_BYTES: Final = 12 * 2**20

#: Paths that are logged for one agent; a value whose keys are ids would otherwise add new ones for ever.
MAX_PATHS: Final = 100

_log: Final = logging.getLogger("statecast")
_encode: Final = msgspec.json.Encoder().encode
_OMITTED: Final = object()
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class LeftOut:
    """The values that an agent's states could not hold, each of which the log names once.

    Args:
        agent: The agent's name.
    """

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._paths: set[tuple[str, ...]] = set()

    def report(self, path: Sequence[str], value: object) -> None:
        """Log that a value was left out, unless another one at that path was."""
        place = tuple(path)
        if place in self._paths or len(self._paths) >= MAX_PATHS:
            return
        self._paths.add(place)
        name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        end = "; further values are left out without a word" if len(self._paths) == MAX_PATHS else ""
        text = 'agent "%s" left out of its state what JSON cannot express: a %s at "%s"%s'
        _log.warning(text, self._agent, name, "/".join(place), end)


def to_state(
    value: object,
    *,
    select: Select | None = None,
    path: Sequence[str] = (),
    left_out: Callable[[Sequence[str], object], object] = lambda path, value: None,
    limit: int = MAX_BYTES,
) -> Json:
    """Return a value as JSON that a state can hold, without the parts that JSON cannot express.

    - Dataclasses, msgspec structs, attrs classes and objects with a `model_dump`, such as pydantic models and
      LangChain's messages, become dicts. Mappings become dicts with their keys as text.
    - Sequences and numpy arrays become lists, and sets sorted lists.
    - Datetimes, dates, times, timedeltas, UUIDs, decimals and paths become text, enums their values, and numpy's
      scalars numbers.
    - A number that is not finite becomes None, an integer that JavaScript would round becomes its digits, and a lone
      surrogate becomes U+FFFD.
    - Bytes, generators, functions and other objects are omitted, as are reserved keys, cycles, and values nested deeper
      than `MAX_DEPTH`. If nothing is left, the result is None.

    Args:
        value: The value. It is not changed, and the result shares no mutable part with it.
        select: The keys of the value to convert; None: all. Other keys are not read.
        path: The place of the value in the state.
        left_out: Called with the path of each omitted part, with "*" for an index, and with the part itself.
        limit: The maximum number of bytes of JSON; the conversion stops there.

    Raises:
        StateTooLarge: The value has more than `limit` bytes.
        TypeError: `select` is given for a value without keys.
    """
    conversion = _Conversion(path, left_out, limit)
    if select is not None:
        value = _selected(conversion.opened(value), select)
    found = conversion.convert(value)
    return None if found is _OMITTED else found


class _Conversion:
    """The conversion of one value."""

    def __init__(self, path: Sequence[str], left_out: Callable[[Sequence[str], object], object], limit: int) -> None:
        self._path = list(path)
        self._left_out = left_out
        self._limit = self._left = limit
        self._above: set[int] = set()  #: ids of the containers that the value is in

    def convert(self, value: Any) -> Any:
        """Return a value as JSON; `_OMITTED` if JSON cannot express it."""
        kind = type(value)
        if kind is str:
            self._spend(len(value))
            return _well_formed(value)
        if kind in _SCALARS:
            return _number(value, kind)
        if kind is not dict and kind is not list:
            opened = self.opened(value)
            if opened is _OMITTED:
                return self._omit(value)
            if type(opened) is not dict and type(opened) is not list:
                return self.convert(opened)
        else:
            opened = value
        if id(value) in self._above or len(self._path) >= MAX_DEPTH:
            return self._omit(value)
        self._above.add(id(value))
        try:
            return self._branch(opened) if type(opened) is dict else self._row(opened)
        finally:
            self._above.discard(id(value))

    def opened(self, value: Any) -> Any:
        """Return a value as one of JSON's types, one level deep; `_OMITTED` if it is none of those that convert."""
        try:
            items = getattr(value, "size", None) if hasattr(value, "dtype") else None
            if items is None and isinstance(value, Sized):
                items = len(value)
            if not isinstance(items, int) or items <= self._left:
                return _opened(value)
        except Exception:  # code of the value's own, such as a serializer, see rule 1
            return _OMITTED
        raise StateTooLarge(self._limit - self._left + items, self._limit)  # a range may have more than there is memory

    def _branch(self, value: dict[Any, Any]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        size = 0
        for key, item in list(value.items()):
            name = key if type(key) is str and key.isascii() else _name(key)
            if name is None or name in FORBIDDEN_KEYS:
                self._below("*" if name is None else name, self._omit, key if name is None else item)
                continue
            size += len(name) + 4
            kind = type(item)
            if kind is str:
                size += len(item)
                found[name] = item if item.isascii() else _well_formed(item)
            elif kind in _SCALARS:
                found[name] = _number(item, kind)
            else:
                converted = self._below(name, self.convert, item)
                if converted is not _OMITTED:
                    found[name] = converted
        self._spend(size)
        return found

    def _row(self, value: list[Any]) -> list[Json]:
        found: list[Json] = []
        size = 0
        for item in list(value):
            size += 2
            kind = type(item)
            if kind is str:
                size += len(item)
                found.append(item if item.isascii() else _well_formed(item))
            elif kind in _SCALARS:
                found.append(_number(item, kind))
            else:
                converted = self._below("*", self.convert, item)
                if converted is not _OMITTED:
                    found.append(converted)
        self._spend(size)
        return found

    def _below(self, name: str, convert: Callable[[Any], Any], value: Any) -> Any:
        """Convert what a container has at a key."""
        self._path.append(name)
        converted = convert(value)
        self._path.pop()
        return converted

    def _omit(self, value: object) -> Any:
        self._left_out(self._path, value)
        return _OMITTED

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise StateTooLarge(self._limit - self._left, self._limit)


def _opened(value: Any) -> Any:
    if isinstance(value, (set, frozenset, Set)):
        return _sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()  # an array or a scalar of numpy, or of what is like it
    if hasattr(type(value), "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in type(value).__attrs_attrs__}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _OMITTED
    try:
        return plain(value)
    except NotJson:
        return list(value) if isinstance(value, Sequence) else _OMITTED


def _selected(value: Any, select: Select) -> dict[str, Any]:
    if type(value) is not dict:
        raise TypeError(f"expected a value with keys to select from, got {type(value).__name__}")
    wanted = select if callable(select) else frozenset(select).__contains__
    return {key: item for key, item in value.items() if wanted(key)}


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Return the items of a set in an order that depends on nothing but the items."""
    items = list(values)
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__qualname__, repr(item)))


def _name(key: object) -> str | None:
    """Return a key as text; None if JSON has none for it."""
    if isinstance(key, enum.Enum):
        return _name(key.value)
    if isinstance(key, str):
        return _well_formed(str.__str__(key))
    if key is None or isinstance(key, (bool, float)):
        return _encode(key if key is None or isinstance(key, bool) else float.__float__(key)).decode()
    if isinstance(key, int):
        return _digits(int(key))
    try:
        found = plain(key)
    except Exception:  # it has no form in JSON, or code of its own that fails, see rule 1
        return None
    return found if isinstance(found, str) else None


def _number(value: Any, kind: type) -> Json:
    """Return a number, a bool or None as JSON and JavaScript can hold it."""
    if kind is int:
        return value if -MAX_INTEGER <= value <= MAX_INTEGER or is_javascript_integer(value) else _digits(value)
    return value if kind is not float or math.isfinite(value) else None


def _well_formed(text: str) -> str:
    """Return a text with its surrogate pairs joined, and U+FFFD in place of lone surrogates."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _digits(integer: int) -> str | None:
    try:
        return str(integer)
    except ValueError:  # more digits than Python converts
        return None
