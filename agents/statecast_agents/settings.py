"""Check settings where they are created: an invalid one raises an error that names it, before anything runs.

A wrong type is a TypeError, a wrong value a ValueError. Both name the expected and the given value.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from .values import check_key

__all__ = [
    "check_choice",
    "check_function",
    "check_list",
    "check_name",
    "check_number",
    "check_numbers",
    "check_path",
    "check_pending",
    "check_pointers",
    "check_suggestions",
    "check_switch",
    "check_texts",
]

_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])*)*")

#: Seconds of the shortest period: what is done again and again would otherwise keep the processor busy.
SHORTEST: Final = 0.001


def check_numbers(
    settings: msgspec.Struct,
    *,
    zero: Collection[str] = (),
    endless: Collection[str] = (),
    optional: Collection[str] = (),
) -> None:
    """Check all fields of `settings` that are numbers, or whether something is on.

    Args:
        settings: What is checked.
        zero: Fields that may be 0.
        endless: Periods that may be infinite.
        optional: Fields that may be None.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.
    """
    kind = type(settings)
    for name, declared in typing.get_type_hints(kind).items():
        value = getattr(settings, name)
        if name in optional and value is None:
            continue
        where = f"{kind.__name__}.{name}"
        if declared is bool:
            check_switch(where, value)
        elif declared in (int, float, float | None):
            period = name == "seconds" or name.endswith("_seconds")
            least = 0 if name in zero else SHORTEST if period else 1 if declared is int else None
            check_number(where, value, whole=declared is int, least=least, endless=name in endless)


def check_number(
    where: str,
    value: Any,
    *,
    whole: bool = False,
    least: float | None = None,
    most: float | None = None,
    endless: bool = False,
) -> None:
    """Check one number.

    Args:
        where: What it is the value of.
        value: The number.
        whole: Whether it has to be a whole one.
        least: The smallest that is allowed; None: any above 0.
        most: The largest that is allowed, if any is.
        endless: Whether it may be infinite.

    Raises:
        TypeError: It is no number.
        ValueError: It is out of range.
    """
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"expected {where} to be {kind}, got {value!r}")
    small = value <= 0 if least is None else value < least
    large = most is not None and value > most
    if math.isnan(value) or small or large or (math.isinf(value) and not endless):
        bounds = "above 0" if least is None else f"of at least {least:g}"
        bounds += f" and at most {most:g}" if most is not None else "" if endless else ", and finite"
        raise ValueError(f"expected {where} to be {kind} {bounds}, got {value!r}")


def check_switch(what: str, value: Any) -> None:
    """Check a setting that is on or off.

    Raises:
        TypeError: It is no bool.
    """
    if not isinstance(value, bool):
        raise TypeError(f"expected {what} to be True or False, got {value!r}")


def check_choice(what: str, value: Any, choices: Sequence[str]) -> None:
    """Check that a setting is one of its choices.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        known = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"expected {what} to be one of {known}, got {value!r}")


def check_function(what: str, value: Any) -> None:
    """Check a function.

    Raises:
        TypeError: It cannot be.
    """
    if not callable(value):
        raise TypeError(f"expected {what} to be a function, got {value!r}")


def check_list(what: str, value: Any, of: str) -> None:
    """Check that a setting is a list, and not one text, whose characters would be taken for the items.

    Args:
        what: The setting's name.
        value: The setting.
        of: What the list is to have, for people.

    Raises:
        TypeError: It is no list.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Collection):
        raise TypeError(f"expected {what} to be a list of {of}, got {value!r}")


def check_texts(what: str, values: Any) -> Sequence[str]:
    """Check a list of texts, and return it.

    Raises:
        TypeError: It is none.
    """
    check_list(what, values, "texts")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"expected {what} to be a list of texts, got {value!r} in it")
    return list(values)


def check_suggestions(values: Any) -> Mapping[str, str]:
    """Check what an agent suggests the user to say, and return the hint for each text; empty: there is none.

    Raises:
        TypeError: It is neither a list of texts nor a mapping of texts.
    """
    if isinstance(values, Mapping):
        check_texts("suggestions", list(values.values()))
        hints = dict(values)
    else:
        hints = dict.fromkeys(check_texts("suggestions", values), "")
    check_texts("suggestions", list(hints))
    return hints


def check_name(name: Any) -> None:
    """Check an agent's name, by which requests choose it.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty, or has characters that nobody can type into a URL's query or read in a log.
    """
    if not isinstance(name, str):
        raise TypeError(f"expected an agent's name as a text, got {name!r}")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(f"expected an agent's name of printable characters, got {name!r}")


def check_pointers(what: str, pointers: Any) -> tuple[str, ...]:
    """Check a list of JSON Pointers, and return it.

    Raises:
        TypeError: It is no list of texts.
        ValueError: One is no JSON Pointer (RFC 6901).
    """
    for pointer in check_texts(what, pointers):
        if _POINTER.fullmatch(pointer) is None:
            raise ValueError(f'expected {what} to be JSON Pointers such as "/title", got {pointer!r}')
    return tuple(pointers)


def check_path(what: str, path: Any) -> tuple[str, ...] | None:
    """Check the path of something in the state, and return its keys.

    Args:
        what: What is there, which is the setting's name.
        path: A key, several, or None.

    Raises:
        TypeError: It is no key, and no list of keys.
        NotJson: A state cannot have one of the keys.
    """
    if path is None:
        return None
    keys = (path,) if isinstance(path, str) else path
    if isinstance(keys, bytes) or not isinstance(keys, Sequence) or not all(isinstance(key, str) for key in keys):
        raise TypeError(f"expected {what} to be a key, a list of keys, or None, got {path!r}")
    return tuple(map(check_key, keys))


def check_pending(pending: Any, messages: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Check the path of the open questions, and return its keys; None if the state is the list of messages itself.

    Raises:
        TypeError: It is no key, and no list of keys.
        ValueError: It is the state itself, or within the messages, or they within it.
        NotJson: A state cannot have one of the keys.
    """
    path = check_path("pending", pending)
    if path is None or messages == ():
        return None
    if not path:
        raise ValueError("expected pending to be a key of the state, got the state itself")
    if messages is not None and path[: len(messages)] == messages[: len(path)]:
        raise ValueError(f"expected pending to be apart from the messages, got {list(path)} beside {list(messages)}")
    return path
