"""Files on the disk: starlette's `StaticFiles`, with the headers that tell browsers how long to keep them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from .file import range_of

__all__ = ["PAGE", "Folder", "Page"]

#: The page for every agent. Its source is in `page/` of the repository.
PAGE: Final = Path(__file__).parents[2] / "page"

#: The types of scripts, which some systems call something else, and browsers refuse then.
_MEDIA: Final = {".js": "text/javascript; charset=utf-8", ".ts": "application/typescript; charset=utf-8"}

_HASHED: Final = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z]+$")  #: a name that changes with what it names


class Folder(StaticFiles):
    """A folder of files. A browser keeps them, and asks each time whether they have changed."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file, or 304."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(response, FileResponse):
            return _StaticFile(full_path, status_code=status_code, stat_result=stat_result)
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, the part of it that is asked for, or 304.

        Raises:
            HTTPException: 404, 405.
        """
        response = await super().get_response(path, scope)
        media = _MEDIA.get(PurePath(path).suffix)
        if media is not None and response.status_code == 200:
            response.headers["content-type"] = media
        response.headers["cache-control"] = "no-cache"
        response.headers["x-content-type-options"] = "nosniff"
        return response


class Page(Folder):
    """A folder with an `index.html`, and `assets/` whose names may carry a hash of what they hold.

    Args:
        directory: The folder.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory=directory, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file. A new version of the page is seen at the next load; its assets are asked for once.

        Raises:
            HTTPException: 404; 405 where there is a file, and the method is neither GET nor HEAD.
        """
        method = scope["method"]
        response = await super().get_response(path, {**scope, "method": "GET"})
        if method not in ("GET", "HEAD"):
            if response.status_code == 404:
                raise HTTPException(404)
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        if isinstance(response, RedirectResponse):
            # To a folder's index. Relative, so that it holds behind a proxy, whatever name and prefix that has.
            query = scope["query_string"].decode("latin-1")
            folder = quote(scope["path"].rpartition("/")[2])
            response.headers["location"] = f"./{folder}/{'?' if query else ''}{query}"
        if path.startswith("assets/") and _HASHED.search(path) is not None:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["content-security-policy"] = "frame-ancestors 'none'"
        return response


class _StaticFile(FileResponse):
    """A file, whole or the one range that is asked for. A range that is refused gets the error that uploads have."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_headers, size = Headers(scope=scope), int(self.headers["content-length"])
        same = request_headers.get("if-range") in (None, self.headers["etag"], self.headers["last-modified"])
        if not same or range_of(request_headers.get("range", ""), size) == (0, size):
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        await super().__call__(scope, receive, send)
