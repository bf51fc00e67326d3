"""The values of JSON text: the numbers and keys that a JavaScript client would change or refuse, found in the text.

The decoder accepts integers that JavaScript rounds, and keys that the clients refuse; where it skips a value, it also
accepts numbers beyond a double. Almost no text holds any of these, so the text is searched, block by block, for what
all of them look like. Nothing is decoded unless something looks like one.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from statecast_agents import Json
from statecast_agents.values import is_javascript_integer

from .errors import NumberOutOfRange, RequestError
from .json_checks import check_keys, decode
from .json_shape import bare, check_nesting

__all__ = ["check_values", "read_value"]

_BLOCK: Final = 65_536  #: bytes looked at before the next are
_OVERLAP: Final = 32  #: bytes of the next block that are looked at as well: what is searched for is shorter
_MARKS: Final = bytes.maketrans(b"123456789:[", b"000000000,,")
_NOT_MARKS: Final = bytes(set(range(256)) - set(b'0123456789,:[]{}"'))
_SEPARATED_DIGITS: Final = bytes.maketrans(b"123456789-+E:[]{} \t\r\n", b"00000000000e,,,,,,,,,")
_FOUR_DIGITS: Final = b",0000"  #: a number with fewer is no long integer, nor beyond a double as `1e400` is
_SAMPLE: Final = 16  #: one byte of so many is looked at to tell how many digits a block has
_LONG_INTEGER: Final = b"," + b"0" * 16  #: one with fewer digits is safe
#: A smaller one needs a long integer before it to be too much. It begins with the rarest of its characters.
_LARGE_EXPONENT: Final = re.compile(rb"e000(?<=0e000)0*(?![^,])")
_KEY: Final = re.compile(rb'"(?:constructor|prototype|__proto__)"\s*:')
_ESCAPED_KEY: Final = re.compile(rb"\\u00[567]")  #: the letters of those keys, and the underscore
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_DIGITS_OF_A_DOUBLE: Final = 309  #: digits of the largest integer that a double can be
_NESTING: Final = 64  #: containers within one another that a text may say to be taken for more than text


def check_values(data: bytes | msgspec.Raw) -> None:
    """Check that JSON text holds nothing that a JavaScript client would change or refuse.

    Args:
        data: The text, which the decoder has accepted, or skipped.

    Raises:
        RequestError: `number_out_of_range` or `forbidden_key`; `malformed_json`.
    """
    text = bytes(data)
    numbers = keys = False
    for start in range(0, len(text), _BLOCK):
        block = b"," + text[start : start + _BLOCK + _OVERLAP]  # a number may begin it
        numbers = numbers or _may_have_large_numbers(block)
        keys = keys or b"constructor" in block or b"proto" in block
    if numbers:
        _check_numbers(b"".join(bare(text)))
    if (keys and _KEY.search(text)) or (b"\\" in text and _ESCAPED_KEY.search(text)):
        _check_keys(decode(text))


def read_value(text: str) -> Json:
    """Return the value of a JSON text if a state can hold it, else the text itself."""
    try:
        data = text.encode()
        check_nesting(data, _NESTING)
        check_values(data)
        return decode(data)
    except (RequestError, UnicodeEncodeError):
        return text


def _may_have_large_numbers(block: bytes) -> bool:
    """Return whether a number in a block, or some text in its strings, looks like one that is too large."""
    sample = block[::_SAMPLE]
    has_few_digits = len(sample) - len(sample.translate(None, b"0123456789")) < len(sample) // _SAMPLE
    if has_few_digits and _FOUR_DIGITS not in block.translate(_MARKS, _NOT_MARKS):
        return False
    separated = block.translate(_SEPARATED_DIGITS)
    return _LONG_INTEGER in separated or _LARGE_EXPONENT.search(separated) is not None


def _check_numbers(bare_text: bytes) -> None:
    for match in _NUMBER.finditer(bare_text):
        number = match.group()
        if len(number) < 4:
            continue
        if set(number) & set(b".eE"):
            decode(number)  # which refuses it if no double can be as large
        elif len(number) > 15 and _beyond(number):
            message = f"expected an integer that JavaScript can hold, got {number[:40].decode()}; use a string"
            raise NumberOutOfRange(message)


def _beyond(number: bytes) -> bool:
    digits = number.lstrip(b"-").lstrip(b"0")
    return len(digits) > _DIGITS_OF_A_DOUBLE or not is_javascript_integer(int(digits or b"0"))


def _check_keys(value: Any) -> None:
    if isinstance(value, dict):
        check_keys(value)
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_keys(item)
