"""A page beside the endpoints: files as they are, with the headers that let browsers keep what never changes."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["Page"]


class Page(StaticFiles):
    """A folder with an `index.html`, and `assets/` whose names carry a hash of what they hold.

    Args:
        directory: The folder.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file. A new version of the page is seen at the next load; its assets are asked for once."""
        response = await super().get_response(path, scope)
        kept = path.startswith("assets/")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers["content-security-policy"] = "frame-ancestors 'none'"
        response.headers["x-content-type-options"] = "nosniff"
        return response
