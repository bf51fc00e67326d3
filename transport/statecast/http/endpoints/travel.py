"""`POST /threads/{id}/fork` and `/rewind`: go on from an earlier revision, in a new thread or in the same one.

Source: docs/protocol/thread-requests.md, "POST /threads/{id}/fork".
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id, idempotency_key_of
from statecast.http.response.errors import json_response
from statecast.http.service import Service

__all__ = ["Place", "travel_operations"]


class Fork(msgspec.Struct, rename="camel"):
    """Where a new thread begins, and its id, if it is to have a certain one."""

    revision: int
    thread_id: str | None = None


class Rewind(msgspec.Struct):
    """Which revision's state a thread is to have again."""

    revision: int
    cancel: bool = False  #: whether to stop the run that is under way, and drop what is queued


class Place(msgspec.Struct, rename="camel"):
    """The end of a thread's log, which has the state that was asked for."""

    thread_id: str
    revision: int
    cursor: str


class _Travel:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._hub = service.hub

    async def fork(self, request: Request) -> Response:
        thread_id = _thread_id_of(request)
        given: Fork = await read_json(request.scope, request.receive, self._hub.limits, Fork)
        if given.thread_id is not None:
            check_thread_id(given.thread_id)
        owner = await self._service.owner(request.scope)
        source = await self._hub.find(thread_id, owner=owner)
        thread = await self._hub.copies.fork(source, given.revision, given.thread_id)
        return json_response(Place(thread.id, thread.log.revision, str(thread.cursor)), status=201)

    async def rewind(self, request: Request) -> Response:
        thread_id = _thread_id_of(request)
        given: Rewind = await read_json(request.scope, request.receive, self._hub.limits, Rewind)
        owner = await self._service.owner(request.scope)
        key = idempotency_key_of(request.scope)
        cursor = await self._hub.rewind(thread_id, given.revision, owner=owner, cancel=given.cancel, key=key)
        return json_response(Place(thread_id, cursor.revision, str(cursor)))


def travel_operations(service: Service) -> list[Operation]:
    """Return the operations that go on from an earlier revision."""
    travel = _Travel(service)
    return [
        Operation(
            "POST",
            "/threads/{thread_id}/fork",
            travel.fork,
            "Make a new thread of an earlier revision",
            {201: Reply(Place)},
            Fork,
        ),
        Operation(
            "POST",
            "/threads/{thread_id}/rewind",
            travel.rewind,
            "Go back to an earlier revision",
            {200: Reply(Place)},
            Rewind,
        ),
    ]


def _thread_id_of(request: Request) -> str:
    thread_id: str = request.path_params["thread_id"]
    check_thread_id(thread_id)
    return thread_id
