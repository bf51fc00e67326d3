"""An uploaded file as a response, whole or the one range that is asked for.

Starlette's `FileResponse` reads from the disk only. An upload may be in memory or in the store as well, and has the
same headers, ranges and errors wherever it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from statecast.files import Found, RangeReader, disposition, filename_of
from statecast.http.errors import FileDamaged, RangeNotSatisfiable, UnknownFile
from statecast.stores import Damaged

__all__ = ["range_of", "serve"]

#: Bytes of a piece.
PIECE: Final = 2**18

#: A name stands for the same bytes for ever.
KEPT: Final = "private, max-age=31536000, immutable"

#: What a file may do in a browser's window: be shown or played by the page that browsers make for it, and no more.
POLICY: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"

#: Beside it, by what types start with. A player loads its file once more, from an origin that a strict sandbox hides;
#: and a PDF is not shown in any: what runs in one has no way out of it anyway.
SANDBOXES: Final = {
    "audio/": "; sandbox allow-same-origin",
    "video/": "; sandbox allow-same-origin",
    "application/pdf": "",
}

#: One range, the only kind that is served; `-5` is the last five bytes.
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def serve(found: Found, scope: Scope, *, seconds: int) -> Response:
    """Return the response with a file, or a redirect to where it is stored.

    Args:
        found: The file.
        scope: The request's.
        seconds: That a link to elsewhere works.

    Raises:
        RequestError: `range_not_satisfiable`.
    """
    how = disposition(found.type, filename_of(found.name))
    if callable(found.content) and scope["method"] == "GET":
        caching = {"cache-control": f"private, max-age={seconds // 2}"}
        return RedirectResponse(found.content(how, seconds), 302, caching)
    etag = f'"{quote(found.name)}"'
    headers = {
        "content-type": found.type,
        "content-disposition": how,
        "content-security-policy": _policy(found.type),
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
        "cache-control": KEPT,
        "etag": etag,
        "accept-ranges": "none" if callable(found.content) else "bytes",
    }
    request_headers = Headers(scope=scope)
    if etag in request_headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    whole = (0, found.size)
    part = (
        range_of(request_headers.get("range", ""), found.size)
        if request_headers.get("if-range", etag) == etag
        else whole
    )
    headers["content-length"] = str(part[1] - part[0])
    if part == whole:
        return _File(found, part, 200, headers)
    headers["content-range"] = f"bytes {part[0]}-{part[1] - 1}/{found.size}"
    return _File(found, part, 206, headers)


def _policy(type: str) -> str:
    sandbox = next((sandbox for start, sandbox in SANDBOXES.items() if type.startswith(start)), "; sandbox")
    return POLICY + sandbox


class _File(Response):
    """Send a file.

    Args:
        found: The file.
        part: From which byte, and up to which.
        status: The response's.
        headers: Likewise.
    """

    def __init__(self, found: Found, part: tuple[int, int], status: int, headers: Mapping[str, str]) -> None:
        self._found = found
        self._part = part
        self.status_code = status
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        end = {"type": "http.response.body", "body": b"", "more_body": False}
        if scope["method"] == "HEAD":
            await send(begin)
            await send(end)
            return
        async with self._open() as pieces:
            await send(begin)
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send(end)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[AsyncIterator[bytes]]:
        content, (start, end) = self._found.content, self._part
        if isinstance(content, bytes):
            yield _of_bytes(content, start, end)
            return
        if not isinstance(content, Path):
            assert not callable(content)
            first = await _first_part(content, start, min(start + PIECE, end))
            yield _of_parts(content, first, start, end)
            return
        try:
            file = await anyio.open_file(content, "rb")
        except FileNotFoundError:
            raise UnknownFile() from None
        async with file:
            yield _of_file(file, start, end)


async def _of_bytes(content: bytes, start: int, end: int) -> AsyncIterator[bytes]:
    for place in range(start, end, PIECE):
        yield content[place : min(place + PIECE, end)]


async def _of_parts(content: RangeReader, first: bytes, start: int, end: int) -> AsyncIterator[bytes]:
    yield first
    for place in range(start + PIECE, end, PIECE):
        yield await content.part(place, min(place + PIECE, end))


async def _first_part(content: RangeReader, start: int, end: int) -> bytes:
    """Return the first piece: before anything is sent, an error can still be answered."""
    try:
        return await content.part(start, end)
    except Damaged:
        raise FileDamaged() from None


async def _of_file(file: anyio.AsyncFile[bytes], start: int, end: int) -> AsyncIterator[bytes]:
    await file.seek(start)
    for place in range(start, end, PIECE):
        yield await file.read(min(PIECE, end - place))


def range_of(header: str, size: int) -> tuple[int, int]:
    """Return the requested range as (first, end); the whole file if there is no single valid range.

    Raises:
        RequestError: `range_not_satisfiable`.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.group() == "bytes=-":
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < start:
        return 0, size
    if start >= size:
        message = f"expected a range within the {size} bytes of the file, got one beyond"
        raise RangeNotSatisfiable(message, size=size)
    return start, end
