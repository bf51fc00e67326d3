"""`GET /threads/{id}/export` and `POST /threads/import`: a thread as one JSON document.

Source: docs/protocol/thread-requests.md, "GET /threads/{id}/export".
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import check_title
from statecast.protocol import RunState
from statecast.threads import Imported, RunRecord

from .travel import Place

__all__ = ["document_operations"]


class Exported(msgspec.Struct, rename="camel"):
    """A thread as a document."""

    statecast: Literal[1]  #: the version of the document
    thread_id: str
    agent: str
    title: str | None
    revision: int
    state: msgspec.Raw
    run: RunState | None
    messages: list[msgspec.Raw]  #: what pages have written into its history
    deleted: list[str]  #: the ids of messages that pages have deleted from it, and that the state still has
    runs: list[RunRecord]  #: the newest first
    history: list[dict[str, Any]]  #: the frames of its events, from the first revision that is kept on


class _Documents:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._hub = service.hub

    async def export(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        thread = await self._hub.find(thread_id, owner=await self._service.owner(request.scope))
        return StreamingResponse(await self._hub.exports.begin(thread), media_type="application/json")

    async def import_(self, request: Request) -> Response:
        given: Imported = await read_json(request.scope, request.receive, self._hub.limits, Imported)
        if given.thread_id is not None:
            check_thread_id(given.thread_id)
        check_title(given.title)
        owner = await self._service.owner(request.scope)
        agent = named_agent(given.agent, self._hub)
        thread = await self._hub.imports.make(agent, given, owner=owner)
        return json_response(Place(thread.id, thread.log.revision, str(thread.cursor)), status=201)


def document_operations(service: Service) -> list[Operation]:
    """Return the operations on threads as documents."""
    documents = _Documents(service)
    path, made = "/threads/{thread_id}/export", {201: Reply(Place)}
    return [
        Operation("GET", path, documents.export, "A thread as a document", {200: Reply(Exported)}),
        Operation("POST", "/threads/import", documents.import_, "Make a thread of a document", made, Imported),
    ]
