"""What `statecast dev` adds to an app: `/dev/restart`, with which the page kills the server.

The page shows that way that a crash loses nothing. Whoever reaches `/dev/restart` can end the process, so it is served
only on an address of this machine, and only to pages of this server's own origin.

Code that does not load has no app. The page is served nevertheless, and shows why, until the code loads again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .app import App
from .endpoints.client_module import module_operations
from .errors import AgentNotLoaded, OriginNotAllowed
from .middleware.cors import is_welcome
from .middleware.hosts import HostCheck
from .operation import Operation, Reply
from .request.proxies import passed_on
from .response.errors import error_response, json_response
from .response.static import PAGE, Folder, Page

__all__ = ["add_restart", "unloaded_app"]

#: Seconds from the answer to the end of the process, in which the answer leaves.
LEAVING: Final = 0.05

#: What browsers say in `Sec-Fetch-Site` of requests that another site has caused, also without an `Origin`.
ELSEWHERE: Final = frozenset({"cross-site", "same-site"})

#: How a WebSocket is closed that no app is there for: 4000 and the status of the error.
NO_APP: Final = 4503


class Serving(msgspec.Struct):
    """The process that serves: another one after each restart."""

    process: int


def add_restart(app: App) -> None:
    """Serve `GET /dev/restart`, which names the process, and `POST /dev/restart`, which kills it.

    Something has to start it again: see `Reloading`.
    """
    operations = [
        Operation("GET", "/dev/restart", _process, "The process that serves", {200: Reply(Serving)}),
        Operation("POST", "/dev/restart", _kill, "Kill the process that serves", {202: Reply(Serving)}),
    ]
    app.router.routes += [operation.to_route() for operation in operations]


def unloaded_app(message: str, traceback: str = "", *, allowed_hosts: Sequence[str] = ()) -> ASGIApp:
    """Return the app that stands in for one whose code does not load: the page, and 503 for everything else.

    Args:
        message: What is wrong, with the file and the line.
        traceback: Of the user's own code.
        allowed_hosts: Names under which it may be reached.
    """
    page = Page(PAGE)

    async def index(request: Request) -> Response:
        return await page.get_response("index.html", request.scope)

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": NO_APP})
            return
        await error_response(AgentNotLoaded(message, traceback))(scope, receive, send)

    modules = [operation.to_route() for operation in module_operations()]
    app = Starlette(routes=[Route("/", index), Mount("/assets", Folder(directory=PAGE / "assets")), *modules])
    app.router.default = refuse
    return HostCheck(app, allowed_hosts)


async def _process(request: Request) -> Response:
    _check_source(request)
    return json_response(Serving(os.getpid()))


def _check_source(request: Request) -> None:
    """Check that a request comes from a page of this server, or from no page.

    Raises:
        RequestError: `origin_not_allowed`.
    """
    is_elsewhere = request.headers.get("sec-fetch-site") in ELSEWHERE
    if passed_on(request.scope) or is_elsewhere or not is_welcome(request.headers, frozenset()):
        raise OriginNotAllowed("expected the page of this server itself, got a request of another origin or of a proxy")


async def _kill(request: Request) -> Response:
    _check_source(request)
    asyncio.get_running_loop().call_later(LEAVING, os.kill, os.getpid(), signal.SIGKILL)
    return json_response(Serving(os.getpid()), status=202)
