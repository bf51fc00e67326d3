"""Counts the request line, the headers and the trailers of a request while they arrive.

The parser buffers an incomplete line, and reports it when it is complete. So bytes that caused no event are counted
too: until an event comes, all of them belong to one growing line.
"""

from __future__ import annotations

from typing import Final

from statecast.http.errors import HeadersTooLarge, TargetTooLong, TooManyHeaders
from statecast.threads import Connections

__all__ = ["Head"]

_AROUND: Final = 4  #: bytes around a name and a value: colon, space, line end


class Head:
    """The head of each request on a connection, in turn.

    Args:
        limits: How large it may be.
    """

    __slots__ = ("_bytes", "_count", "_limits", "_pending", "eventful")

    def __init__(self, limits: Connections) -> None:
        self._limits = limits
        self.begin()
        self.eventful = False

    def begin(self) -> None:
        """Start a request."""
        self._bytes = 0
        self._count = 0
        self._pending = 0
        self.eventful = True  #: whether what came last led to an event

    def target(self, url: bytes) -> None:
        """Count a piece of the request's target.

        Raises:
            RequestError: `target_too_long`.
        """
        self.eventful = True
        self._bytes += len(url)
        limit = self._limits.header_bytes
        if self._bytes > limit:
            message = f"expected a request line of at most {limit} bytes, got more; send long texts in a body"
            raise TargetTooLong(message, limit=limit)

    def header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer.

        Raises:
            RequestError: `too_many_headers` or `headers_too_large`.
        """
        self.eventful = True
        self._bytes += len(name) + len(value) + _AROUND
        self._count += 1
        limit = self._limits.headers
        if self._count > limit:
            raise TooManyHeaders(f"expected at most {limit} headers, got more", limit=limit)
        self._check()

    def fed(self, size: int) -> None:
        """Count bytes that were given to the parser, unless they caused an event.

        Raises:
            RequestError: `headers_too_large`.
        """
        if self.eventful:
            self._pending = 0
        else:
            self._pending += size
            self._check()
        self.eventful = False

    def _check(self) -> None:
        limit = self._limits.header_bytes
        if self._bytes + self._pending > limit:
            message = f"expected a request line and headers of at most {limit} bytes together, got more"
            raise HeadersTooLarge(message, limit=limit)
