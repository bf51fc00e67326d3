"""`GET /client.js` and `GET /adapters.js`: ES modules for pages, and their types beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.response.static import Folder

__all__ = ["BROWSER", "module_routes"]

BROWSER: Final = Path(__file__).parents[2] / "browser"  #: where the files are

NAMES: Final = ("client.js", "client.d.ts", "adapters.js", "adapters.d.ts")


def module_routes() -> list[Route]:
    """Return the routes. A module is the same version as the server that it comes from and talks to."""
    folder = Folder(directory=BROWSER)

    async def get(request: Request) -> Response:
        return await folder.get_response(request.scope["path"].rpartition("/")[2], request.scope)

    return [Route(f"/{name}", get, methods=["GET"]) for name in NAMES]
