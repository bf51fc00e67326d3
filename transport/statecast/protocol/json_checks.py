"""JSON as requests carry it: UTF-8, decoded with stable error codes.

What the decoder accepts and clients or the state do not is found in the text: see `json_shape` and `json_values`.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from statecast_agents import FORBIDDEN_KEYS

from .errors import ForbiddenKey, InvalidRequest, MalformedJson, NumberOutOfRange, TooDeep

__all__ = ["check_keys", "decode", "read_text"]

_LONE_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")


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
