"""`GET /client.js`, `/adapters.js` and `/react.js`: ES modules for pages, with their types; and all of them for npm."""

from __future__ import annotations

import hashlib
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.npm_package import BROWSER, react_package
from statecast.http.operation import UNCHANGED, Operation, Reply
from statecast.http.response.static import Folder

__all__ = ["BROWSER", "module_operations"]

_SCRIPT: Final = {"text/javascript": "an ES module"}
_TYPES: Final = {"application/typescript": "its types"}
_PACKAGE: Final = {"application/gzip": "an npm package"}

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

    async def get_package(request: Request) -> Response:
        content = await to_thread.run_sync(react_package)
        headers = {
            "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "cache-control": "no-cache",
            "x-content-type-options": "nosniff",
        }
        response = Response(content, media_type="application/gzip", headers=headers)
        if folder.is_not_modified(response.headers, request.headers):
            return Response(status_code=304, headers=headers)
        return response

    operations = [
        Operation("GET", f"/{name}", get, summary, {200: Reply(media=media), 304: UNCHANGED})
        for name, (summary, media) in FILES.items()
    ]
    summary = "All of them as the npm package @statecast/react"
    package = Operation("GET", "/react.tgz", get_package, summary, {200: Reply(media=_PACKAGE), 304: UNCHANGED})
    return [*operations, package]
