"""`/v1/threads/{id}/messages`: the history of a thread, the newest message first, its leases, and feedback."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.history.tree import HistoryMessage
from statecast.http.request.body import read_json
from statecast.http.request.fields import thread_key
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import MOST, limit_of, timestamp
from statecast.stores import Key, Summary
from statecast.threads import History
from statecast_agents import Json

from .authenticator import Authenticator
from .form import CloudRoute
from .leases import EndReason, Leases

__all__ = ["message_routes"]


class _New(msgspec.Struct):
    format: str
    content: dict[str, Json]
    parent_id: str | None = None
    external_id: str | None = None
    parent_external_id: str | None = None
    open_run: bool = False
    lease_id: str | None = None


class _Changed(msgspec.Struct):
    content: dict[str, Json]
    lease_id: str | None = None


class _Deleted(msgspec.Struct):
    message_ids: list[str]


class _Ended(msgspec.Struct):
    reason: EndReason = "done"


class _Opinion(msgspec.Struct):
    type: Literal["positive", "negative"]
    comment: str | None = None


class _Messages:
    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._hub = service.hub
        self._history = History(service.hub)
        self._leases = Leases(service.hub.directory)
        self._authenticator = authenticator

    async def list(self, request: Request) -> Response:
        summary = await self._card(request)
        query = request.query_params
        limit = limit_of(query.get("limit"), MOST)
        messages = (await self._history.read(summary, format=query.get("format")))[::-1]
        if query.get("after"):
            ids = [message.id for message in messages]
            # As in the list of threads: what is gone is no place, and the client knows what it has.
            messages = messages[ids.index(query["after"]) + 1 :] if query["after"] in ids else messages
        runs = await self._leases.shown(summary.key)
        return json_response({"messages": [_shown(message, runs.get(message.id)) for message in messages[:limit]]})

    async def create(self, request: Request) -> Response:
        summary = await self._card(request)
        new: _New = await read_json(request.scope, request.receive, self._hub.limits, _New)
        if new.external_id is None:
            id = await self._write(summary.key, new)
        else:
            async with self._hub.directory.alone(summary.key.owner, f"{summary.key.thread_id} {new.external_id}"):
                id = await self._write(summary.key, new)  # of two that come at once, one is the other, written anew
        lease = await self._leases.open(summary.key, id) if new.open_run else {}
        return json_response({"message_id": id, **lease})

    async def update(self, request: Request) -> Response:
        summary = await self._card(request)
        changed: _Changed = await read_json(request.scope, request.receive, self._hub.limits, _Changed)
        message_id = request.path_params["message_id"]
        async with self._as_holder(summary.key, changed.lease_id, message_id):
            await self._history.update(summary, message_id, changed.content)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        summary = await self._card(request)
        deleted: _Deleted = await read_json(request.scope, request.receive, self._hub.limits, _Deleted)
        await self._history.delete(summary, deleted.message_ids)
        return Response(status_code=204)

    async def beat(self, request: Request) -> Response:
        summary = await self._card(request)
        return json_response(await self._leases.beat(summary.key, request.path_params["lease_id"]))

    async def end(self, request: Request) -> Response:
        summary = await self._card(request)
        ended: _Ended = await read_json(request.scope, request.receive, self._hub.limits, _Ended)
        await self._leases.end(summary.key, request.path_params["lease_id"], ended.reason)
        return Response(status_code=204)

    async def feedback(self, request: Request) -> Response:
        principal = await self._authenticator.require(request.scope)
        summary = await self._hub.directory.get(thread_key(request, principal))
        opinion: _Opinion = await read_json(request.scope, request.receive, self._hub.limits, _Opinion)
        message_id = request.path_params["message_id"]
        id = await self._history.feedback(summary, message_id, opinion.type, opinion.comment, user=principal.user)
        return json_response({"feedback_id": id, "type": opinion.type, "comment": opinion.comment})

    async def _write(self, key: Key, new: _New) -> str:
        """Add a message, or write it anew, as the holder of its lease if the request has one."""
        parent_id, external_id = new.parent_id, new.external_id
        if new.parent_external_id is not None:
            parent_id = await self._history.named(key, new.parent_external_id, new.format) or parent_id
        known = None if external_id is None else await self._history.named(key, external_id, new.format)
        async with self._as_holder(key, new.lease_id, known):
            return await self._history.write(
                key, parent_id=parent_id, format=new.format, content=new.content, external_id=external_id
            )

    def _as_holder(
        self, key: Key, lease_id: str | None, message_id: str | None
    ) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext() if lease_id is None else self._leases.held(key, lease_id, message_id)

    async def _card(self, request: Request) -> Summary:
        return await self._hub.directory.get(thread_key(request, await self._authenticator.require(request.scope)))


def message_routes(service: Service, authenticator: Authenticator) -> list[Route]:
    """Return the routes of messages."""
    messages = _Messages(service, authenticator)
    path = "/v1/threads/{thread_id}/messages"
    return [
        CloudRoute(path, messages.list, methods=["GET"]),
        CloudRoute(path, messages.create, methods=["POST"]),
        CloudRoute(path, messages.delete, methods=["DELETE"]),
        CloudRoute(path + "/{message_id}", messages.update, methods=["PUT"]),
        CloudRoute(path + "/{message_id}/feedback", messages.feedback, methods=["POST"]),
        CloudRoute("/v1/threads/{thread_id}/runs/{lease_id}/heartbeat", messages.beat, methods=["POST"]),
        CloudRoute("/v1/threads/{thread_id}/runs/{lease_id}/end", messages.end, methods=["POST"]),
    ]


def _shown(message: HistoryMessage, run: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": message.id,
        "parent_id": message.parent_id,
        "height": message.height,
        "created_at": timestamp(message.created),
        "updated_at": timestamp(message.updated),
        "format": message.format,
        "content": message.content,
        "external_id": message.external_id,
        **({} if run is None else {"run": run}),
    }
