"""The types of arguments, for argparse."""

from __future__ import annotations

import json
import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from statecast_agents import Json

__all__ = ["URL", "command", "number", "port", "seconds", "workers"]

_T = TypeVar("_T")

#: Of the option `--url`.
URL: Final[Mapping[str, Any]] = {
    "default": "http://127.0.0.1:8000",
    "metavar": "URL",
    "help": "the server, or STATECAST_URL (default: %(default)s)",
}


def command(text: str) -> dict[str, Json]:
    """Read a command: a JSON object with a `type`."""
    try:
        command = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"expected JSON: {error}") from None
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise ArgumentTypeError(f'expected an object with a "type", got {text}')
    return command


def seconds(text: str) -> float:
    """Read a number of seconds."""
    seconds = _read(float, text, -1.0)
    if not 0 <= seconds < math.inf:
        raise ArgumentTypeError(f"expected a number of seconds, 0 or more, got {text}")
    return seconds


def workers(text: str) -> int:
    """Read a number of processes."""
    workers = _read(int, text, 0)
    if workers < 1:
        raise ArgumentTypeError(f"expected 1 process or more, got {text}")
    return workers


def port(text: str) -> int:
    """Read a port; 0 stands for any."""
    port = _read(int, text, -1)
    if not 0 <= port <= 65_535:
        raise ArgumentTypeError(f"expected a port from 0 to 65535, got {text}")
    return port


def number(text: str) -> int:
    """Read a number of things, 1 or more."""
    number = _read(int, text, 0)
    if number < 1:
        raise ArgumentTypeError(f"expected a number, 1 or more, got {text}")
    return number


def _read(kind: Callable[[str], _T], text: str, other: _T) -> _T:
    """Read a number; a text that is none becomes a number that is refused as well."""
    try:
        return kind(text)
    except ValueError:
        return other
