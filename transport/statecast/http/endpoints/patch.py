"""`PATCH /threads/{id}/state`: clients edit the writable parts of the state."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.errors import TooManyOperations
from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id, idempotency_key_of
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast_agents import Json

__all__ = ["patch_operations"]


class PatchStep(msgspec.Struct):
    """A step of an RFC 6902 patch."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    from_: str | UnsetType = msgspec.field(default=UNSET, name="from")
    value: Json | UnsetType = UNSET


class Patched(msgspec.Struct, rename="camel"):
    """The revision that the patch made."""

    thread_id: str
    revision: int
    cursor: str


def patch_operations(service: Service) -> list[Operation]:
    """Return the operation that applies an RFC 6902 patch, all of it or nothing.

    Source: docs/protocol/thread-requests.md, "PATCH /threads/{id}/state".
    """

    async def patch(request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        limits = service.hub.limits
        steps: list[dict[str, Any]] = await read_json(request.scope, request.receive, limits, list[dict[str, Any]])
        if len(steps) > limits.commands:
            message = f"expected at most {limits.commands} operations, got more"
            raise TooManyOperations(message, limit=limits.commands)
        key = idempotency_key_of(request.scope)
        cursor = await service.hub.patch(thread_id, steps, owner=await service.owner(request.scope), key=key)
        return json_response(Patched(thread_id, cursor.revision, str(cursor)))

    path, summary = "/threads/{thread_id}/state", "Patch what clients may write"
    return [Operation("PATCH", path, patch, summary, {200: Reply(Patched)}, list[PatchStep])]
