"""Incoming bodies: read piece by piece, within a limit of bytes and of time."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from starlette.types import Receive, Scope

from statecast.http.errors import BodyIncomplete, BodyTimeout, BodyTooLarge, EmptyFile
from statecast.protocol.errors import RequestError

from .headers import header_of
from .open_requests import open_request_of

__all__ = ["IncomingBody", "UploadBody"]

#: A body that is refused for its size is read to its end up to this many times the limit: a connection closed at once
#: is reset, and many clients then never see the answer.
DRAIN: Final = 4


class IncomingBody:
    """An iterator over the pieces of a body.

    Args:
        scope: The request's.
        receive: Likewise.
        limit: Bytes that are taken.
        seconds: Until all of them must be here.
        held: Whether they stay in memory until all are here, and so count as a body in flight.
    """

    noun: ClassVar[str] = "body"  #: what errors call it

    def __init__(self, scope: Scope, receive: Receive, *, limit: int, seconds: float, held: bool = True) -> None:
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._size = 0
        self._over = False
        self._timer: asyncio.Timeout | None = None  #: of the piece that is waited for
        self._body = open_request_of(scope).arrive(self._evict) if held else None
        self._scope = scope

    def check(self) -> None:
        """Check the declared size, if there is one.

        Raises:
            RequestError: `body_too_large`.
        """
        declared = header_of(self._scope, b"content-length") or ""
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()

    async def read(self) -> bytes:
        """Return all pieces as one. A body that is too large is read first, so that its client sees the error.

        Raises:
            RequestError: As `__anext__`.
        """
        pieces: list[bytes] = []
        try:
            while not self._over:
                pieces.append(await self._next())
            self._complete()
        except RequestError:
            if self._size > self._limit:
                await self.drain()
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __aiter__(self) -> IncomingBody:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            RequestError: `body_too_large`; `body_timeout`; `body_incomplete`; `too_many_bytes` or `server_full`, where
                too many bodies arrive at once.
        """
        while not self._over:
            piece = await self._next()
            if piece:
                return piece
        self._complete()
        raise StopAsyncIteration

    async def _next(self) -> bytes:
        """Return the next piece, counted and within the limit."""
        piece = await self._piece()
        if self._size > self._limit:
            raise self._too_large()
        if self._body is not None and piece:
            self._body.grow(len(piece))
        return piece

    def _complete(self) -> None:
        if self._body is not None:
            self._body.complete()
            self._body = None  # it refers to this iterator

    async def drain(self) -> None:
        """Read the rest of a refused body, up to a few times the limit, so that its client receives the error."""
        if self._body is not None:
            self._body.release()
        try:
            while not self._over and self._size <= DRAIN * self._limit:
                await self._piece()
        except RequestError:
            pass

    async def _piece(self) -> bytes:
        if self._body is not None:
            self._body.check()
        try:
            async with asyncio.timeout_at(self._deadline) as self._timer:
                message = await self._receive()
        except TimeoutError:
            self._over = True
            if self._body is not None:
                self._body.check()
            text = f"expected the whole {self.noun} within {self._seconds:g} seconds, got {self._size} bytes of it"
            raise BodyTimeout(text, limit=self._seconds) from None
        finally:
            self._timer = None
        if message["type"] == "http.disconnect":
            self._over = True
            raise BodyIncomplete(f"the connection was closed before the {self.noun} had arrived")
        piece: bytes = message.get("body", b"")
        self._size += len(piece)
        self._over = not message.get("more_body", False)
        return piece

    def _evict(self) -> None:
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(0)

    def _too_large(self) -> RequestError:
        message = f"expected a {self.noun} of at most {self._limit} bytes, got more"
        return BodyTooLarge(message, limit=self._limit)


class UploadBody(IncomingBody):
    """The pieces of a file, which has at least one byte."""

    noun = "file"

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            RequestError: `empty_file`; as any body.
        """
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if self._size == 0:
                raise EmptyFile("expected the bytes of a file as the body, got none") from None
            raise
