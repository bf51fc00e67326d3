"""Checks on JSON text that build no values, fast enough to run on every body.

The decoder accepts what clients or the state do not: deep nesting, integers that JavaScript rounds, keys that clients
refuse. Where searching the bytes can rule a problem out, nothing is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

import msgspec

from statecast_agents import FORBIDDEN_KEYS, Json
from statecast_agents.values import is_javascript_integer

from .errors import ForbiddenKey, InvalidRequest, MalformedJson, NumberOutOfRange, RequestError, TooDeep, TooManyValues

__all__ = [
    "check_count",
    "check_keys",
    "check_nesting",
    "check_values",
    "count_values",
    "decode",
    "read_text",
    "read_value",
    "same_json",
]

_LONG_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LONE_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  #: as signed bytes: one deeper, one back
_BLOCK: Final = 65_536  #: bytes looked at before the next are, so that a body refused at its start costs little
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_SPACES: Final = b" \t\r\n"
_SAFE_DIGITS: Final = b"0" * 16  #: an integer with fewer digits is safe
_DIGITS_OF_A_DOUBLE: Final = 309  #: digits of the largest integer that a double can be
_NESTING: Final = 64  #: containers within one another that a text may say to be taken for more than text


def read_text(data: bytes) -> None:
    """Check that `data` is UTF-8 without a byte order mark.

    Raises:
        RequestError: `malformed_json`.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise MalformedJson("expected JSON without a byte order mark, got one")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            message = f"expected JSON as UTF-8, got byte {data[error.start]:#04x} at {error.start}"
            raise MalformedJson(message) from None


def check_count(data: bytes, limit: int) -> None:
    """Check that JSON text holds at most `limit` values: decoding costs memory per value, not per byte.

    Raises:
        RequestError: `too_many_values`.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") >= limit and count_values(data, limit) > limit:
        message = f"expected at most {limit} values in the body, got more; send them in several requests"
        raise TooManyValues(message, limit=limit)


def count_values(data: bytes, most: int) -> int:
    """Return the number of values in JSON text, including the whole; any number above `most` if there are more."""
    found, open = 1, b""
    for block in _bare(data):
        marks = open + block.translate(None, _SPACES)
        open = marks[-1:] if marks.endswith((b"[", b"{")) else b""  # the next block tells whether anything is in it
        marks = marks.removesuffix(open)
        found += marks.count(b",") + marks.count(b"[") + marks.count(b"{") - marks.count(b"[]") - marks.count(b"{}")
        if found > most:
            break
    return found


def check_nesting(data: bytes, limit: int) -> None:
    """Check that containers in JSON text nest at most `limit` deep.

    Raises:
        RequestError: `too_deep`.
    """
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = 0
    for block in _bare(data):
        steps = memoryview(block.translate(_STEPS, _NOT_BRACKETS)).cast("b")
        if max(accumulate(steps, initial=depth)) > limit:
            raise TooDeep(limit)
        depth += sum(steps)


def check_values(data: bytes | msgspec.Raw) -> None:
    """Check that JSON text holds nothing that a JavaScript client would change or refuse.

    Raises:
        RequestError: `number_out_of_range` or `forbidden_key`; `malformed_json`.
    """
    text = bytes(data)
    if _SAFE_DIGITS in text.translate(_DIGITS):
        for match in _LONG_NUMBER.finditer(b"".join(_bare(text))):
            number = match.group()
            if len(number) > 15 and not set(number) & set(b".eE") and _beyond(number):
                message = f"expected an integer that JavaScript can hold, got {number[:40].decode()}; use a string"
                raise NumberOutOfRange(message)
    if b"proto" in text or b"constructor" in text or (b"\\" in text and b"\\u" in text):
        _check_keys(decode(text))


def check_keys(value: dict[str, Any]) -> None:
    """Check that an object has no key that clients refuse.

    Raises:
        RequestError: `forbidden_key`.
    """
    for key in value.keys() & FORBIDDEN_KEYS:
        raise ForbiddenKey(key)


def decode(data: bytes | msgspec.Raw, type: Any = Any) -> Any:  # as in msgspec
    """Decode JSON text.

    Raises:
        RequestError: `malformed_json` if it is none; `number_out_of_range`, `too_deep`, or `invalid_request` where it
            is not of `type`.
    """
    try:
        return msgspec.json.decode(data, type=type)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise NumberOutOfRange("expected numbers that fit a double, got a larger one") from None
        raise InvalidRequest(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        lone = _LONE_SURROGATE.search(bytes(data))
        problem = "a lone surrogate in a string" if lone else str(error)
        raise MalformedJson(f"expected JSON, got {problem}") from None
    except RecursionError:
        raise TooDeep() from None


def read_value(text: str) -> Json:
    """Return the value of a JSON text if a state can hold it, else the text itself."""
    try:
        data = text.encode()
        check_nesting(data, _NESTING)
        check_values(data)
        return decode(data)
    except (RequestError, UnicodeEncodeError):
        return text


def same_json(one: Any, other: Any) -> bool:
    """Compare two values as JavaScript does: key order is ignored, numbers are doubles, and True is not a number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if (type(one) is int and type(other) is float) or (type(one) is float and type(other) is int):
        return float(one) == float(other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _bare(data: bytes) -> Iterator[bytes]:
    """Yield JSON text block by block, with each string replaced by a quote."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    inside = False
    for start in range(0, len(data), _BLOCK):
        pieces = data[start : start + _BLOCK].split(b'"')
        bare = b'"'.join(pieces[inside::2])
        inside ^= len(pieces) % 2 == 0
        yield bare + b'"' if inside else bare


def _beyond(number: bytes) -> bool:
    digits = number.lstrip(b"-").lstrip(b"0")
    return len(digits) > _DIGITS_OF_A_DOUBLE or not is_javascript_integer(int(digits or b"0"))


def _check_keys(value: Any) -> None:
    if isinstance(value, dict):
        check_keys(value)
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_keys(item)
