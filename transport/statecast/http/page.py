"""A page beside the endpoints: files as they are, with the headers that let browsers keep what never changes."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response
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
        """Return a file. A new version of the page is seen at the next load; its assets are asked for once."""
        response = await super().get_response(path, scope)
        kept = path.startswith("assets/") and _HASHED.search(path) is not None
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers["content-security-policy"] = "frame-ancestors 'none'"
        response.headers["x-content-type-options"] = "nosniff"
        return response
