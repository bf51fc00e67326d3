"""Checks of an agent's settings: a wrong one raises where the agent is made, and the error names it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from .values import check_key

__all__ = [
    "check_choice",
    "check_function",
    "check_list",
    "check_name",
    "check_pointers",
    "check_seconds",
    "check_switch",
    "keys_of",
]

_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])*)*")


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


def check_choice(what: str, value: Any, choices: Sequence[str]) -> None:
    """Check that a setting is one of its choices.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        known = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"expected {what} to be one of {known}, got {value!r}")


def check_switch(what: str, value: Any) -> None:
    """Check a setting that is on or off.

    Raises:
        TypeError: It is no bool.
    """
    if not isinstance(value, bool):
        raise TypeError(f"expected {what} to be True or False, got {value!r}")


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
        raise TypeError(f"expected {what} as a list of {of}, got {value!r}")


def check_function(what: str, value: Any) -> None:
    """Check a function.

    Raises:
        TypeError: It cannot be.
    """
    if not callable(value):
        raise TypeError(f"expected {what} to be a function, got {value!r}")


def check_pointers(pointers: Any) -> tuple[str, ...]:
    """Check the JSON Pointers of what clients may write, and return them.

    Raises:
        TypeError: They are no list of texts.
        ValueError: One is no JSON Pointer (RFC 6901).
    """
    check_list("writable", pointers, 'JSON Pointers such as ["/title"]')
    for pointer in pointers:
        if not isinstance(pointer, str):
            raise TypeError(f'expected writable to be JSON Pointers such as "/title", got {pointer!r}')
        if _POINTER.fullmatch(pointer) is None:
            raise ValueError(f'expected writable to be JSON Pointers such as "/title", got {pointer!r}')
    return tuple(pointers)


def keys_of(messages: Any) -> tuple[str, ...] | None:
    """Check the path of the messages in the state, and return its keys.

    Raises:
        TypeError: It is no key, and no list of keys.
        NotJson: A state cannot have one of the keys.
    """
    if messages is None:
        return None
    keys = (messages,) if isinstance(messages, str) else messages
    if isinstance(keys, bytes) or not isinstance(keys, Sequence) or not all(isinstance(key, str) for key in keys):
        raise TypeError(f"expected messages to be a key, a list of keys, or None, got {messages!r}")
    return tuple(map(check_key, keys))


def check_seconds(what: str, value: Any) -> None:
    """Check a number of seconds.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected {what} as a number of seconds, got {value!r}")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"expected {what} as a number of seconds, 0 or more, got {value!r}")
