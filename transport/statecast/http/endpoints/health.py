"""`/health`, `/health/live`, `/health/ready`: probes for orchestrators and load balancers.

Source: docs/protocol.md, "Health".
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation, Reply
from statecast.http.response.errors import json_response
from statecast.http.response.statuses import headers_of, status_of
from statecast.protocol.errors import RequestError
from statecast.threads import Hub

__all__ = ["health_operations"]


class Health(msgspec.Struct):
    """The version of the server, and how many threads and runs it has in memory."""

    status: Literal["ok"]
    version: str
    threads: int
    runs: int


class Liveness(msgspec.Struct):
    """The process answers."""

    status: Literal["live"] = "live"


class Readiness(msgspec.Struct):
    """Whether the server takes requests, and why not."""

    status: Literal["ready", "unready"]
    reason: str | UnsetType = UNSET  #: the code of the error that requests get
    message: str | UnsetType = UNSET


def health_operations(hub: Hub) -> list[Operation]:
    """Return the operations of health checks."""

    async def health(request: Request) -> Response:
        return json_response(Health("ok", version("statecast"), hub.threads, hub.runs))

    async def live(request: Request) -> Response:
        return json_response(Liveness())

    async def ready(request: Request) -> Response:
        try:
            await hub.check_ready()
        except RequestError as error:
            unready = Readiness("unready", error.code, error.message)
            return json_response(unready, status=status_of(error), headers=headers_of(error))
        return json_response(Readiness("ready"))

    unready = Reply(Readiness, "It takes none; `reason` says why")
    return [
        Operation("GET", "/health", health, "The version, and how much is under way", {200: Reply(Health)}),
        Operation("GET", "/health/live", live, "Whether the process answers", {200: Reply(Liveness)}),
        Operation(
            "GET", "/health/ready", ready, "Whether the server takes requests", {200: Reply(Readiness), 503: unready}
        ),
    ]
