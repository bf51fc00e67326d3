"""What `statecast dev` adds to an app: the page, and `/dev/restart`, with which the page kills the server.

The page shows that way that a crash loses nothing. Whoever reaches `/dev/restart` can end the process, so it is served
only on an address of this machine, and only to pages of this server's own origin.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .app import App
from .errors import OriginNotAllowed
from .middleware.cors import is_welcome
from .operation import Operation, Reply
from .request.proxies import passed_on
from .response.errors import json_response

__all__ = ["add_restart"]

#: Seconds from the answer to the end of the process, in which the answer leaves.
LEAVING: Final = 0.05


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


async def _process(request: Request) -> Response:
    return json_response(Serving(os.getpid()))


async def _kill(request: Request) -> Response:
    if passed_on(request.scope) or not is_welcome(request.headers, frozenset()):
        raise OriginNotAllowed("expected the page of this server itself, got a request of another origin or of a proxy")
    asyncio.get_running_loop().call_later(LEAVING, os.kill, os.getpid(), signal.SIGKILL)
    return json_response(Serving(os.getpid()), status=202)
