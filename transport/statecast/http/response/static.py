"""A page beside the endpoints: files as they are, with the headers that let browsers keep what never changes."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["Page"]

_HASHED: Final = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z]+$")  #: a name that changes with what it names


class Page(StaticFiles):
    """A folder with an `index.html`, and `assets/` whose names may carry a hash of what they hold.

    Args:
        directory: The folder.
    """

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
        kept = path.startswith("assets/") and _HASHED.search(path) is not None
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers["content-security-policy"] = "frame-ancestors 'none'"
        response.headers["x-content-type-options"] = "nosniff"
        return response
