"""`GET /client.js` and `GET /adapters.js`: ES modules for pages, and their types beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["BROWSER", "ModuleFile"]

BROWSER: Final = Path(__file__).parents[2] / "browser"  #: where the files are

_MEDIA: Final = {".js": "text/javascript; charset=utf-8", ".ts": "application/typescript; charset=utf-8"}


class ModuleFile:
    """Serves one file, which a browser keeps for as long as it is the same: it asks each time, by the ETag.

    Args:
        name: The file.
    """

    def __init__(self, name: str) -> None:
        path = BROWSER / name
        self._content = path.read_bytes()
        self._headers = {
            "content-type": _MEDIA[path.suffix],
            "cache-control": "no-cache",  # as it is spoken to the server that it comes from
            "etag": f'"{hashlib.sha256(self._content).hexdigest()[:32]}"',
            "x-content-type-options": "nosniff",
        }

    async def get(self, request: Request) -> Response:
        """Return the file, or 304 to who has it."""
        given = request.headers.get("if-none-match", "")
        etags = {etag.strip().removeprefix("W/") for etag in given.split(",")}
        if "*" in etags or self._headers["etag"] in etags:
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, headers=self._headers)
