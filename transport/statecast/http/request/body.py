"""Request bodies: JSON, read within limits and checked before any value is built."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec
from starlette.types import Receive, Scope

from statecast.http.errors import UnsupportedMediaType
from statecast.protocol.errors import InvalidRequest, RequestError, TooDeep
from statecast.protocol.json_checks import check_keys, decode, read_text
from statecast.protocol.json_shape import check_count, check_nesting
from statecast.protocol.json_values import check_values
from statecast.protocol.lenient import check_fields, mended
from statecast.threads import Limits, offload

from .content_type import is_json
from .headers import header_of
from .incoming import IncomingBody

__all__ = ["RequestBody", "body_of", "read_as", "read_body", "read_json"]

_T = TypeVar("_T")


class RequestBody:
    """The fields of a JSON object, each still JSON text.

    Args:
        fields: By name.
        nesting: Containers within one another that the whole may have. A field that nobody asks for is not looked at.
        size: Bytes of the whole.
    """

    def __init__(self, fields: dict[str, msgspec.Raw], nesting: int, size: int) -> None:
        self.size = size
        self._fields = fields
        self._nesting = nesting

    def raw(self, name: str) -> msgspec.Raw | msgspec.UnsetType:
        """Return the text of a field, unchecked; UNSET if it is missing."""
        return self._fields.get(name, msgspec.UNSET)

    def size_without(self, name: str) -> int:
        """Return the bytes of the whole without those of a field."""
        text = self._fields.get(name)
        return self.size if text is None else self.size - len(memoryview(text))

    def get(self, name: str, type: Any, default: Any) -> Any:  # as in msgspec
        """Return a field as `type`; `default` if it is missing or null.

        Raises:
            RequestError: As `check_values` and `decode`, naming the field, and what was expected.
        """
        text = self._fields.get(name)
        if text is None or bytes(text) == b"null":
            return default
        try:
            check_nesting(bytes(text), self._nesting - 1)
            check_values(text)
            return decode(text, type)
        except RequestError as error:
            if isinstance(error, TooDeep):  # the field is one container deep itself
                error = TooDeep(self._nesting)
            raise error.within(f'the field "{name}"') from None

    def list(self, name: str) -> list[msgspec.Raw]:
        """Return the items of an array, each still text; none if it is missing or null."""
        items: list[msgspec.Raw] = self.get(name, list[msgspec.Raw], [])
        return items

    def others(self, known: Collection[str]) -> dict[str, Any]:
        """Return the fields that are not `known`, decoded."""
        return {name: self.get(name, Any, None) for name in self._fields if name not in known}


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> RequestBody:
    """Read a request's body as a JSON object.

    Raises:
        RequestError: As `read_as`; `forbidden_key`, or `invalid_request` for anything but an object.
    """
    data = await _read_text(scope, receive, limits)
    return await offload(len(data), body_of, data, limits)


def body_of(data: bytes, limits: Limits) -> RequestBody:
    """Split the JSON text of an object into its fields.

    Raises:
        RequestError: `malformed_json`; `too_many_values`; `forbidden_key`, or `invalid_request` for anything but an
            object.
    """
    read_text(data)
    check_count(data, limits.values)
    try:
        fields: dict[str, msgspec.Raw] = decode(data, dict[str, msgspec.Raw])
    except InvalidRequest as error:
        raise InvalidRequest(f"expected a JSON object as body: {error}") from None
    check_keys(fields)
    return RequestBody(fields, limits.nesting, len(data))


async def read_json(scope: Scope, receive: Receive, limits: Limits, type: Any) -> Any:  # as in msgspec
    """Read a request's body as a value of `type`.

    Raises:
        RequestError: As `read_as`; 422 naming what is wrong with the value.
    """
    return await read_as(scope, receive, limits, lambda data: decode(data, type))


async def read_as(
    scope: Scope, receive: Receive, limits: Limits, read: Callable[[bytes], _T], *, claims: Collection[str] = ()
) -> _T:
    """Read a request's body as JSON text, and return `read(text)`.

    Args:
        scope: The request's.
        receive: The request's.
        limits: What a body may be.
        read: Called with the text once it is checked, perhaps in another thread.
        claims: The fields whose values are claims, `messages` among them, of which `read` checks what is used.

    Raises:
        RequestError: `unsupported_media_type`; `body_too_large` or `too_many_values`; `body_timeout`; `malformed_json`;
            `too_deep`, `number_out_of_range` or `forbidden_key`; `too_many_bytes` or `server_full`, where too many
            bodies arrive at once; whatever `read` raises.
    """
    data = await _read_text(scope, receive, limits)

    def checked() -> _T:
        read_text(data)
        check_count(data, limits.values)
        check_nesting(data, limits.nesting)
        if not claims:
            check_values(data)
            return read(data)
        text = mended(data)
        check_fields(text, but=claims)
        return read(text)

    return await offload(len(data), checked)


async def _read_text(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    _check_type(scope)
    return await IncomingBody(scope, receive, limit=limits.body, seconds=limits.body_seconds).read()


def _check_type(scope: Scope) -> None:
    encoding = header_of(scope, b"content-encoding")
    encoding = "identity" if encoding is None else encoding.strip().lower()
    given = header_of(scope, b"content-type") or ""
    if encoding != "identity" or not (given == "application/json" or is_json(given)):
        got = f'"{given[:80]}"' if given else "none"
        if encoding != "identity":
            got += f' encoded as "{encoding[:40]}"'
        message = f"expected Content-Type: application/json, in UTF-8 and not compressed, got {got}"
        raise UnsupportedMediaType(message)
