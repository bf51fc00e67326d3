"""`/v1/threads`: the list of a workspace's threads."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import DONE, Operation
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id, thread_key
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import limit_of, seconds, summary_change, timestamp
from statecast.protocol.errors import InvalidRequest
from statecast.stores import Key, Summary, SummaryChanged
from statecast_agents import Json, new_id

from .authenticator import Authenticator, Principal
from .form import OBJECT, cloud_operation

__all__ = ["thread_operations"]

#: Threads in an answer, unless the request says otherwise.
PAGE: Final = 20

#: The project that all threads are said to belong to: a server is one.
PROJECT: Final = "statecast"


class ThreadUpdate(msgspec.Struct):
    """What the cloud's client can change of a thread's summary; `null` removes it."""

    last_message_at: str | UnsetType | None = UNSET
    title: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET
    metadata: Json | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET


class CloudThread(ThreadUpdate):
    """A thread to make; with `upsert`, the one that has its `external_id` if there is one."""

    upsert: bool = False


class ClaimRequest(msgspec.Struct):
    """The refresh token of an anonymous user, whose threads become the caller's."""

    refresh_token: str


class _Threads:
    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._hub = service.hub
        self._authenticator = authenticator

    async def list(self, request: Request) -> Response:
        principal = await self._authenticator.require(request.scope)
        query = request.query_params
        archived = query.get("is_archived", "false")
        if archived not in ("true", "false"):
            raise InvalidRequest(f'expected is_archived to be "true" or "false", got "{archived[:20]}"')
        before = None
        if query.get("after"):
            check_thread_id(query["after"])
            # One that is gone by now is no place in the list: it begins anew, and the client knows what it has.
            summary = await self._hub.directory.find(Key(principal.workspace, query["after"]))
            before = None if summary is None else (summary.last, summary.key.thread_id)
        summaries = await self._hub.directory.summaries(
            principal.workspace, archived=archived == "true", before=before, limit=limit_of(query.get("limit"), PAGE)
        )
        return json_response({"threads": [_reply_of(summary) for summary in summaries]})

    async def create(self, request: Request) -> Response:
        principal = await self._authenticator.require(request.scope)
        new: CloudThread = await read_json(request.scope, request.receive, self._hub.limits, CloudThread)
        if not new.upsert:
            return json_response({"thread_id": await self._make(principal, new)})
        if not isinstance(new.external_id, str):
            raise InvalidRequest("expected an external_id with upsert, by which to find the thread")
        async with self._hub.directory.alone(principal.workspace, f"external {new.external_id}"):
            summary = await self._hub.directory.named(principal.workspace, new.external_id)
            return json_response(
                {"thread_id": await self._make(principal, new) if summary is None else summary.key.thread_id}
            )

    async def get(self, request: Request) -> Response:
        summary = await self._hub.directory.get(await self._key(request))
        return json_response({"thread": _reply_of(summary)})

    async def update(self, request: Request) -> Response:
        key = await self._key(request)
        changed: ThreadUpdate = await read_json(request.scope, request.receive, self._hub.limits, ThreadUpdate)
        await self._hub.directory.get(key)
        await self._hub.directory.describe(_change_of(key, changed))
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        key = await self._key(request)
        await self._hub.delete(key.thread_id, owner=key.owner)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        principal = await self._authenticator.require(request.scope)
        claimed: ClaimRequest = await read_json(request.scope, request.receive, self._hub.limits, ClaimRequest)
        owner = await self._authenticator.workspace_of(claimed.refresh_token)
        moved = 0 if owner == principal.workspace else await self._hub.move(owner, principal.workspace)
        return json_response({"moved": moved})

    async def _make(self, principal: Principal, new: CloudThread) -> str:
        key = Key(principal.workspace, new_id("thr"))
        await self._hub.directory.describe(_change_of(key, new), new=True)
        return key.thread_id

    async def _key(self, request: Request) -> Key:
        return thread_key(request, await self._authenticator.require(request.scope))


def thread_operations(service: Service, authenticator: Authenticator) -> list[Operation]:
    """Return the operations on threads."""
    threads, page = _Threads(service, authenticator), {"is_archived": bool, "after": str, "limit": int}
    many, one, claim = "/v1/threads", "/v1/threads/{thread_id}", "/v1/threads/claim"
    return [
        cloud_operation("GET", many, threads.list, "The list of threads", OBJECT, query=page),
        cloud_operation("POST", many, threads.create, "Create a thread", OBJECT, CloudThread),
        cloud_operation("POST", claim, threads.claim, "Take over an anonymous user's threads", OBJECT, ClaimRequest),
        cloud_operation("GET", one, threads.get, "A thread's summary", OBJECT),
        cloud_operation("PUT", one, threads.update, "Change a thread's summary", DONE, ThreadUpdate),
        cloud_operation("DELETE", one, threads.delete, "Delete a thread", DONE),
    ]


def _change_of(key: Key, fields: ThreadUpdate) -> SummaryChanged:
    last = fields.last_message_at
    return summary_change(
        key,
        title=fields.title,
        external_id=fields.external_id,
        custom=fields.metadata,
        archived=fields.is_archived,
        last=seconds(last) if isinstance(last, str) else UNSET,
    )


def _reply_of(summary: Summary) -> dict[str, Any]:
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
