"""`/v1/threads`: the list of a workspace's threads, and what is shown of each."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.request.body import read_json
from statecast.http.request.fields import Service, check_thread_id
from statecast.http.response.errors import json_response
from statecast.http.summaries import described, limit_of, seconds, timestamp
from statecast.protocol.errors import Refusal
from statecast.stores import Key, Summary, SummaryChanged
from statecast_agents import Json, new_id

from .form import CloudRoute
from .identity import Identity, Who

__all__ = ["key_of", "thread_routes"]

#: Threads in an answer, unless the request says otherwise.
PAGE: Final = 20

#: The project that all threads are said to belong to: a server is one.
PROJECT: Final = "statecast"


class _Fields(msgspec.Struct):
    last_message_at: str | UnsetType | None = UNSET
    title: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET
    metadata: Json | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET


class _New(_Fields):
    upsert: bool = False


class _Claimed(msgspec.Struct):
    refresh_token: str


class _Threads:
    def __init__(self, service: Service, identity: Identity) -> None:
        self._hub = service.hub
        self._identity = identity

    async def list(self, request: Request) -> Response:
        who = await self._identity.required(request.scope)
        query = request.query_params
        archived = query.get("is_archived", "false")
        if archived not in ("true", "false"):
            raise Refusal(
                422, "invalid_request", f'expected is_archived to be "true" or "false", got "{archived[:20]}"'
            )
        before = None
        if query.get("after"):
            check_thread_id(query["after"])
            # One that is gone by now is no place in the list: it begins anew, and the client knows what it has.
            summary = await self._hub.directory.find(Key(who.workspace, query["after"]))
            before = None if summary is None else (summary.last, summary.key.thread_id)
        summaries = await self._hub.directory.summaries(
            who.workspace, archived=archived == "true", before=before, limit=limit_of(query.get("limit"), PAGE)
        )
        return json_response({"threads": [_shown(summary) for summary in summaries]})

    async def create(self, request: Request) -> Response:
        who = await self._identity.required(request.scope)
        new: _New = await read_json(request.scope, request.receive, self._hub.limits, _New)
        if not new.upsert:
            return json_response({"thread_id": await self._make(who, new)})
        if not isinstance(new.external_id, str):
            raise Refusal(422, "invalid_request", "expected an external_id with upsert, by which to find the thread")
        async with self._hub.directory.alone(who.workspace, f"external {new.external_id}"):
            summary = await self._hub.directory.named(who.workspace, new.external_id)
            return json_response(
                {"thread_id": await self._make(who, new) if summary is None else summary.key.thread_id}
            )

    async def get(self, request: Request) -> Response:
        summary = await self._hub.directory.get(await self._key(request))
        return json_response({"thread": _shown(summary)})

    async def update(self, request: Request) -> Response:
        key = await self._key(request)
        changed: _Fields = await read_json(request.scope, request.receive, self._hub.limits, _Fields)
        await self._hub.directory.get(key)
        await self._hub.directory.describe(_described(key, changed))
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        key = await self._key(request)
        await self._hub.delete(key.thread_id, owner=key.owner)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        who = await self._identity.required(request.scope)
        claimed: _Claimed = await read_json(request.scope, request.receive, self._hub.limits, _Claimed)
        owner = await self._identity.identity_of(claimed.refresh_token)
        moved = 0 if owner == who.workspace else await self._hub.move(owner, who.workspace)
        return json_response({"moved": moved})

    async def _make(self, who: Who, new: _New) -> str:
        key = Key(who.workspace, new_id("thr"))
        await self._hub.directory.describe(_described(key, new), new=True)
        return key.thread_id

    async def _key(self, request: Request) -> Key:
        return key_of(request, await self._identity.required(request.scope))


def thread_routes(service: Service, identity: Identity) -> list[Route]:
    """Return the routes of threads."""
    threads = _Threads(service, identity)
    return [
        CloudRoute("/v1/threads", threads.list, methods=["GET"]),
        CloudRoute("/v1/threads", threads.create, methods=["POST"]),
        CloudRoute("/v1/threads/claim", threads.claim, methods=["POST"]),
        CloudRoute("/v1/threads/{thread_id}", threads.get, methods=["GET"]),
        CloudRoute("/v1/threads/{thread_id}", threads.update, methods=["PUT"]),
        CloudRoute("/v1/threads/{thread_id}", threads.delete, methods=["DELETE"]),
    ]


def key_of(request: Request, who: Who) -> Key:
    """Return the thread that a request's path names, as one of whoever asks.

    Raises:
        Refusal: 422 `invalid_thread_id`.
    """
    check_thread_id(request.path_params["thread_id"])
    return Key(who.workspace, request.path_params["thread_id"])


def _described(key: Key, fields: _Fields) -> SummaryChanged:
    last = fields.last_message_at
    return described(
        key,
        title=fields.title,
        external_id=fields.external_id,
        custom=fields.metadata,
        archived=fields.is_archived,
        last=seconds(last) if isinstance(last, str) else UNSET,
    )


def _shown(summary: Summary) -> dict[str, Any]:
    return {
        "id": summary.key.thread_id,
        "title": summary.title,
        "last_message_at": timestamp(summary.last),
        "metadata": msgspec.Raw(summary.custom),
        "external_id": summary.external_id,
        "project_id": PROJECT,
        "workspace_id": summary.key.owner or "",
        "created_at": timestamp(summary.created),
        "updated_at": timestamp(summary.updated),
        "is_archived": summary.archived,
    }
