"""`GET /client.js`, `GET /adapters.js` and `GET /react.js`: ES modules for pages, with their types."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import UNCHANGED, Operation, Reply
from statecast.http.response.static import Folder

__all__ = ["BROWSER", "module_operations"]

BROWSER: Final = Path(__file__).parents[2] / "browser"  #: where the files are

_SCRIPT: Final = {"text/javascript": "an ES module"}
_TYPES: Final = {"application/typescript": "its types"}

FILES: Final = {
    "client.js": ("A client of a thread, as an ES module", _SCRIPT),
    "client.d.ts": ("Its types", _TYPES),
    "adapters.js": ("Adapters for assistant-ui's runtimes, as an ES module", _SCRIPT),
    "adapters.d.ts": ("Their types", _TYPES),
    "react.js": ("A thread as a React hook, with a runtime for assistant-ui, as an ES module", _SCRIPT),
    "react.d.ts": ("Its types", _TYPES),
}


def module_operations() -> list[Operation]:
    """Return the operations. A module is the same version as the server that it comes from and talks to."""
    folder = Folder(directory=BROWSER)

    async def get(request: Request) -> Response:
        return await folder.get_response(request.scope["path"].rpartition("/")[2], request.scope)

    return [
        Operation("GET", f"/{name}", get, summary, {200: Reply(media=media), 304: UNCHANGED})
        for name, (summary, media) in FILES.items()
    ]
