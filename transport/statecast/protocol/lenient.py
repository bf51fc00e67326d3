"""Lenient reading of posted history: unreadable parts are skipped, and values that no state can hold are left out.

A page posts all of its messages with every request. If one bad part of an old message made the server refuse the
request, the thread would be unusable from then on. Only the last message is checked strictly.
Source: docs/protocol/message-protocols.md, "Conversations".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from statecast_agents import FORBIDDEN_KEYS, Json
from statecast_agents.values import is_javascript_integer

from .errors import InvalidRequest, RequestError
from .json_checks import check_keys, decode
from .json_shape import check_nesting
from .json_values import check_values

__all__ = ["check_fields", "held_part", "held_result", "holdable", "mended", "read_past", "readable"]

_T = TypeVar("_T")

#: Containers within containers in what is read: less than a state can hold, which puts it into containers of its own.
_DEPTH: Final = 100

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


_NAMED: Final = re.compile(rb'"messages"\s*:\s*\Z')
_KEY: Final = 64  #: bytes before the messages in which their name is looked for


def mended(data: bytes) -> bytes:
    """Return a body with the lone surrogates in its messages replaced, as browsers do: a page may split an emoji."""
    if b"\\u" not in data or not _SURROGATE.search(data):
        return data
    whole = _ESCAPE.sub(lambda escape: escape[0] if escape[1] is None else rb"\ufffd", data)  # and as long as before
    try:
        messages = bytes(decode(whole, dict[str, msgspec.Raw]).get("messages", b""))
    except RequestError:
        return data
    at = whole.find(messages)
    while at >= 0 and not _NAMED.search(whole[max(0, at - _KEY) : at]):
        at = whole.find(messages, at + 1)
    return data if at < 0 else data[:at] + messages + data[at + len(messages) :]


def check_fields(data: bytes, *, but: Collection[str]) -> None:
    """Check the values of a body's fields, except those that are claims.

    Raises:
        RequestError: `number_out_of_range` or `forbidden_key`; `malformed_json`; `invalid_request`.
    """
    fields: dict[str, msgspec.Raw] = decode(data, dict[str, msgspec.Raw])
    check_keys(fields)
    for name, text in fields.items():
        if name not in but:
            check_values(text)


def readable(items: Iterable[Any], read: Callable[[Any], _T | None]) -> tuple[list[_T], RequestError | None]:
    """Return the items that can be read, and the error of the first that cannot."""
    found: list[_T] = []
    problem: RequestError | None = None
    for item in items:
        try:
            made = read(item)
        except RequestError as error:
            problem = problem or error
        else:
            if made is not None:
                found.append(made)
    return found, problem


def read_past(posted: Sequence[Any], read: Callable[[dict[str, Any], str], None], *, is_claim: bool = True) -> None:
    """Read messages one by one with `read(message, name)`.

    Args:
        posted: The messages.
        read: Raises a `RequestError` for what it cannot read.
        is_claim: Whether only the last one has to be readable.

    Raises:
        RequestError: `invalid_request`: one that has to be readable is not.
    """
    for index, message in enumerate(posted):
        where = f"messages[{index}]"
        try:
            if not isinstance(message, dict):
                raise InvalidRequest(f"in {where}: expected an object, got {message!r:.80}")
            read(message, where)
        except RequestError:
            if index == len(posted) - 1 or not is_claim:
                raise


def held_part(part: dict[str, Any]) -> dict[str, Any]:
    """Return a message part with only what a state can hold."""
    if _is_held(part):
        return part
    if part.get("type") == "tool-call":
        args = {} if "args" not in part else {"args": part["args"] if _is_held(part["args"]) else {}}
        result = {} if "result" not in part else {"result": held_result(part["result"])}
        part = {**part, **args, **result}
    return holdable(part)  # type: ignore[no-any-return]  # a dict stays one


def held_result(result: Json) -> Json:
    """Return a tool's result if a state can hold it, else its JSON as text."""
    if _is_held(result):
        return result
    if isinstance(result, str):
        return holdable(result)
    try:
        return msgspec.json.encode(result).decode()
    except (ValueError, RecursionError):
        return None


def holdable(value: Json) -> Any:
    """Return a copy of a value with only what a state can hold."""
    try:
        text = msgspec.json.encode(value)
        check_values(text)
        check_nesting(text, _DEPTH)
    except (RequestError, ValueError, OverflowError, RecursionError):
        return _without_the_rest(value, 0)
    return msgspec.json.decode(text)


def _is_held(value: Json) -> bool:
    try:
        text = msgspec.json.encode(value)
        check_values(text)
        check_nesting(text, _DEPTH)
    except (RequestError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _without_the_rest(value: Json, depth: int) -> Json:
    """Return a value without what is nested too deep or under a reserved key, with numbers as JavaScript reads them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not is_javascript_integer(value):
        return float(value) if abs(value) < 2**1000 else None
    if not isinstance(value, dict | list):
        return value
    if depth == _DEPTH:
        return None
    if isinstance(value, list):
        return [_without_the_rest(item, depth + 1) for item in value]
    return {
        key.encode(errors="replace").decode(): _without_the_rest(item, depth + 1)
        for key, item in value.items()
        if key not in FORBIDDEN_KEYS
    }
