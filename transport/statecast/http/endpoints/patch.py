"""`PATCH /threads/{id}/state`: a client edits the parts of the state that the agent lets it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol.errors import Refusal

__all__ = ["PatchEndpoint"]


class PatchEndpoint:
    """Applies an RFC 6902 patch, all of it or nothing. Source: docs/protocol.md, "PATCH /threads/{id}/state"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def patch(self, request: Request) -> Response:
        """Apply the patch."""
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        steps: list[dict[str, Any]] = await read_json(
            request.scope, request.receive, self._service.hub.limits, list[dict[str, Any]]
        )
        if len(steps) > self._service.hub.limits.commands:
            limit = self._service.hub.limits.commands
            raise Refusal(422, "too_many_operations", f"expected at most {limit} operations, got more", limit=limit)
        cursor = await self._service.hub.patch(thread_id, steps, owner=await self._service.owner(request.scope))
        return json_response({"threadId": thread_id, "revision": cursor.revision, "cursor": str(cursor)})
