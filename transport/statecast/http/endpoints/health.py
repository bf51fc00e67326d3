"""`/health`, `/health/live`, `/health/ready`: probes for orchestrators and load balancers.

Source: docs/protocol/server.md, "Health".
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation, Reply
from statecast.http.response.errors import json_response
from statecast.http.response.statuses import headers_of, status_of
from statecast.protocol.errors import RequestError
from statecast.stores import Durability
from statecast.threads import Hub

__all__ = ["health_operations"]

#: What the stores are called in URLs.
STORES: Final = {
    "MemoryStore": "memory",
    "PostgresStore": "postgresql",
    "RedisStore": "redis",
    "SqliteStore": "sqlite",
    "WriterStore": "sqlite",
}

DEAD: Final = "It does nothing any more, and has to be restarted"


class Health(msgspec.Struct):
    """The version of the server, its store, and how many threads and runs it has in memory."""

    status: Literal["ok"]
    version: str
    process: str  #: its id, new at each start
    store: str
    durability: Durability | UnsetType | None  #: what a confirmed write survives; missing if the store does not say
    threads: int
    runs: int


class Liveness(msgspec.Struct):
    """The process answers, and whether it does its work."""

    status: Literal["live", "dead"] = "live"


class Readiness(msgspec.Struct):
    """Whether the server takes requests, and why not."""

    status: Literal["ready", "unready"]
    reason: str | UnsetType = UNSET  #: the code of the error that requests get
    message: str | UnsetType = UNSET


def health_operations(hub: Hub) -> list[Operation]:
    """Return the operations of health checks."""

    async def health(request: Request) -> Response:
        durability = await hub.durability()
        store = type(hub.store).__name__
        return json_response(
            Health(
                "ok",
                version("statecast"),
                hub.registry.process,
                STORES.get(store, store),
                durability,
                hub.threads,
                hub.runs,
            )
        )

    async def live(request: Request) -> Response:
        return json_response(Liveness()) if hub.alive else json_response(Liveness("dead"), status=503)

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
        Operation(
            "GET", "/health/live", live, "Whether the process works", {200: Reply(Liveness), 503: Reply(Liveness, DEAD)}
        ),
        Operation(
            "GET", "/health/ready", ready, "Whether the server takes requests", {200: Reply(Readiness), 503: unready}
        ),
    ]
