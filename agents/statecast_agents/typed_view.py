"""Views of a state by the fields of its declared type: `run.state.plan[0].status = "done"`.

A view stores nothing: it reads and writes the dicts and lists of the state, under their names in JSON. So every change
is tracked, and the same part may have several views.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import inspect
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Annotated, Any, Final, TypeAlias, overload

import msgspec

from .document import to_json
from .errors import NotJson
from .values import Json, StateView

__all__ = ["View", "unwrapped", "view_of"]

#: Makes the view of a value that is in a state; None: the value is what its type says.
View: TypeAlias = Callable[[Any], Any]

_LISTS: Final = (list, Sequence, MutableSequence)
_DICTS: Final = (dict, Mapping, MutableMapping)

#: Types whose JSON is another type: a value of them is converted when it is read.
_CONVERTED: Final[tuple[type, ...]] = (
    bytes,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    enum.Enum,
    frozenset,
    set,
    tuple,
    uuid.UUID,
)


@functools.cache
def view_of(declared: Any) -> View | None:
    """Return what makes views of values of a type; None for types that JSON has itself, TypedDicts among them."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is Annotated:
        return view_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _view_of_union(arguments)
    if origin in _LISTS or origin in _DICTS:
        item, kind = view_of(arguments[-1]), ListView if origin in _LISTS else DictView
        return None if item is None else functools.partial(kind, item)
    if _is_record(origin or declared):
        return functools.partial(Record, declared)
    kind = origin or declared
    if isinstance(kind, type) and issubclass(kind, set):  # it is a copy, to which nothing can be added unnoticed
        return lambda value: frozenset(msgspec.convert(_looked_at(value), declared))
    if isinstance(kind, type) and issubclass(kind, _CONVERTED):
        return lambda value: msgspec.convert(_looked_at(value), declared)
    return None


def _looked_at(value: Json) -> Json:
    """Return a value all of whose containers are nodes: `msgspec.convert` reads past the methods that make them.

    A tuple of dicts would otherwise hand out dicts whose changes nobody notices.
    """
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _looked_at(item)
    return value


def unwrapped(value: Any) -> Any:
    """Return a value with the parts of a state in place of their views."""
    if isinstance(value, StateView):
        return value._raw
    if type(value) in (list, tuple):
        return [unwrapped(item) for item in value]
    if type(value) is dict:
        return {key: unwrapped(item) for key, item in value.items()}
    return value


class _Field(msgspec.Struct, frozen=True):
    """A field of a declared type."""

    wire: str  #: its name in JSON
    view: View | None
    default: Callable[[], Any] | None  #: None: it has none


class Record(StateView):
    """A dict of the state as an instance of a dataclass, a msgspec struct or a pydantic model.

    It has the type's fields, properties and methods, and counts as an instance of the type.

    Args:
        kind: The type.
        value: The dict.
    """

    __slots__ = ("_kind",)
    _kind: Any

    def __init__(self, kind: Any, value: Any) -> None:
        object.__setattr__(self, "_raw", value)
        object.__setattr__(self, "_kind", kind)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":  # for `isinstance` and `match`
            kind = self._kind
            return typing.get_origin(kind) or kind
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        return self.__getattr__(name)

    def __getattr__(self, name: str) -> Any:
        kind = self._kind
        field = _fields(kind).get(name)
        if field is None:  # a method or a property of the type
            owner = typing.get_origin(kind) or kind
            found = inspect.getattr_static(owner, name)
            return found.__get__(self, owner) if hasattr(found, "__get__") else found
        state = self._raw
        if field.wire not in state:
            if field.default is None:
                raise AttributeError(f"the state has no {field.wire!r}, which is a field without a default")
            default = field.default()
            if default is None or isinstance(default, (str, int, float, *_CONVERTED)):
                return default
            state[field.wire] = default  # so that changes of it are tracked
        value = state[field.wire]
        return value if field.view is None else field.view(value)

    def __setattr__(self, name: str, value: Any) -> None:
        self._raw[self._wire(name)] = unwrapped(value)

    def __delattr__(self, name: str) -> None:
        del self._raw[self._wire(name)]

    def __eq__(self, other: object) -> bool:
        return _equal(self._raw, other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        kind = self._kind
        return f"{getattr(kind, '__name__', kind)}({self._raw!r})"

    def _wire(self, name: str) -> str:
        kind = self._kind
        field = _fields(kind).get(name)
        if field is None:
            raise AttributeError(f"expected a field of {kind!r}, got {name!r}")
        return field.wire


class _Items(StateView):
    """A list or dict of the state whose items are views.

    Args:
        item: Makes the view of an item.
        value: The list or dict.
    """

    __slots__ = ("_item",)

    def __init__(self, item: View, value: Any) -> None:
        self._raw = value
        self._item = item

    def __len__(self) -> int:
        return len(self._raw)

    def __delitem__(self, key: Any) -> None:
        del self._raw[key]

    def __eq__(self, other: object) -> bool:
        return _equal(self._raw, other)

    __hash__ = None  # type: ignore[assignment]  # it changes


class ListView(_Items, MutableSequence[Any]):
    """A list of the state whose items are views."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self._raw[index]
        return [self._item(one) for one in found] if isinstance(index, slice) else self._item(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._raw[index] = unwrapped(list(value) if isinstance(index, slice) else value)

    def insert(self, index: int, value: Any) -> None:
        """Insert an item."""
        self._raw.insert(index, unwrapped(value))

    def append(self, value: Any) -> None:
        """Append an item."""
        self._raw.append(unwrapped(value))

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sort the items in place."""
        self[:] = sorted(self, key=key, reverse=reverse)

    def copy(self) -> list[Any]:
        """Return a list of the items."""
        return list(self)

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self, *other]

    def __repr__(self) -> str:
        return repr(list(self))


class DictView(_Items, MutableMapping[str, Any]):
    """A dict of the state whose values are views."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __getitem__(self, key: str) -> Any:
        return self._item(self._raw[key])

    def __setitem__(self, key: str, value: Any) -> None:
        self._raw[key] = unwrapped(value)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, which is set to the default if it is not there."""
        if key not in self._raw:
            self[key] = default
        return self[key]

    def __repr__(self) -> str:
        return repr(dict(self))


def _view_of_union(kinds: Sequence[Any]) -> View | None:
    """Return what makes views of values of one of several types, by what the value looks like."""
    views = [(kind, view) for kind in kinds if (view := view_of(kind)) is not None]

    def make(value: Any) -> Any:
        for kind, view in views:
            if _looks_like(kind, value):
                try:
                    return view(value)
                except msgspec.ValidationError:  # it is of another of the types
                    continue
        return value

    return make if views else None


def _looks_like(kind: Any, value: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    if origin is Annotated:
        return _looks_like(typing.get_args(kind)[0], value)
    if isinstance(value, dict):
        return origin in _DICTS or (_is_record(origin) and _fits(kind, value))
    if isinstance(value, list):
        return origin in _LISTS or (isinstance(origin, type) and issubclass(origin, set | frozenset | tuple))
    return value is not None and isinstance(origin, type) and issubclass(origin, _CONVERTED)


def _fits(kind: Any, value: Mapping[str, Any]) -> bool:
    """Return whether a dict may be a record of a type: it has the type's tag, or else its fields and no others."""
    config = getattr(typing.get_origin(kind) or kind, "__struct_config__", None)
    if config is not None and config.tag is not None:
        return bool(value.get(config.tag_field) == config.tag)
    fields = _fields(kind).values()
    needed = {field.wire for field in fields if field.default is None}
    return needed <= value.keys() <= {field.wire for field in fields}


def _is_record(kind: Any) -> bool:
    if not isinstance(kind, type):
        return False
    return dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct) or hasattr(kind, "model_fields")


@functools.cache
def _fields(kind: Any) -> Mapping[str, _Field]:
    """Return the fields of a type by their names in Python."""
    origin = typing.get_origin(kind) or kind
    if issubclass(origin, msgspec.Struct):
        return {
            field.name: _Field(field.encode_name, view_of(field.type), _default(field, msgspec.NODEFAULT))
            for field in msgspec.structs.fields(kind)
        }
    if dataclasses.is_dataclass(origin):
        hints = typing.get_type_hints(origin, include_extras=True)
        return {
            field.name: _Field(field.name, view_of(hints[field.name]), _default(field, dataclasses.MISSING))
            for field in dataclasses.fields(origin)
        }
    return {
        name: _Field(
            field.serialization_alias or field.alias or name,
            view_of(field.annotation),
            None if field.is_required() else functools.partial(field.get_default, call_default_factory=True),
        )
        for name, field in origin.model_fields.items()
    }


def _default(field: Any, missing: object) -> Callable[[], Any] | None:
    if field.default_factory is not missing:
        factory: Callable[[], Any] = field.default_factory
        return factory
    return None if field.default is missing else lambda: field.default


def _equal(value: Json, other: object) -> bool:
    try:
        return bool(value == to_json(unwrapped(other)))
    except NotJson:
        return False
