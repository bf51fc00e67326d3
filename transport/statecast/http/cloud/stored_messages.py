"""`/v1/threads/{id}/messages`: a thread's history, newest message first, with leases and feedback."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.history.tree import HistoryMessage
from statecast.http.endpoints.histories import Opinion
from statecast.http.operation import DONE, Operation
from statecast.http.request.body import read_json
from statecast.http.request.fields import thread_key
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import MOST, limit_of, timestamp
from statecast.stores import Key, Summary
from statecast.threads import History
from statecast_agents import Json

from .authenticator import Authenticator
from .form import OBJECT, cloud_operation
from .leases import EndReason, Leases

__all__ = ["message_operations"]


class CloudMessage(msgspec.Struct):
    """A message to add to a history, in one of the forms of assistant-ui."""

    format: str
    content: dict[str, Json]
    parent_id: str | None = None
    external_id: str | None = None
    parent_external_id: str | None = None
    open_run: bool = False
    lease_id: str | None = None


class MessageUpdate(msgspec.Struct):
    """The new content of a message."""

    content: dict[str, Json]
    lease_id: str | None = None


class MessageDeletion(msgspec.Struct):
    """Messages to delete."""

    message_ids: list[str]


class RunEnd(msgspec.Struct):
    """How a run of the client ended."""

    reason: EndReason = "done"


class _Messages:
    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._hub = service.hub
        self._history = History(service.hub)
        self._leases = Leases(service.hub.directory)
        self._authenticator = authenticator

    async def list(self, request: Request) -> Response:
        summary = await self._summary(request)
        query = request.query_params
        limit = limit_of(query.get("limit"), MOST)
        messages = (await self._history.read(summary, format=query.get("format")))[::-1]
        if query.get("after"):
            ids = [message.id for message in messages]
            # As in the list of threads: what is gone is no place, and the client knows what it has.
            messages = messages[ids.index(query["after"]) + 1 :] if query["after"] in ids else messages
        runs = await self._leases.states(summary.key)
        return json_response({"messages": [_reply_of(message, runs.get(message.id)) for message in messages[:limit]]})

    async def create(self, request: Request) -> Response:
        summary = await self._summary(request)
        new: CloudMessage = await read_json(request.scope, request.receive, self._hub.limits, CloudMessage)
        if new.external_id is None:
            id = await self._write(summary.key, new)
        else:
            async with self._hub.directory.alone(summary.key.owner, f"{summary.key.thread_id} {new.external_id}"):
                id = await self._write(summary.key, new)  # of two that come at once, one is the other, written anew
        lease = await self._leases.open(summary.key, id) if new.open_run else {}
        return json_response({"message_id": id, **lease})

    async def update(self, request: Request) -> Response:
        summary = await self._summary(request)
        changed: MessageUpdate = await read_json(request.scope, request.receive, self._hub.limits, MessageUpdate)
        message_id = request.path_params["message_id"]
        async with self._as_holder(summary.key, changed.lease_id, message_id):
            await self._history.update(summary, message_id, changed.content)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        summary = await self._summary(request)
        deleted: MessageDeletion = await read_json(request.scope, request.receive, self._hub.limits, MessageDeletion)
        await self._history.delete(summary, deleted.message_ids)
        return Response(status_code=204)

    async def beat(self, request: Request) -> Response:
        summary = await self._summary(request)
        return json_response(await self._leases.beat(summary.key, request.path_params["lease_id"]))

    async def end(self, request: Request) -> Response:
        summary = await self._summary(request)
        ended: RunEnd = await read_json(request.scope, request.receive, self._hub.limits, RunEnd)
        await self._leases.end(summary.key, request.path_params["lease_id"], ended.reason)
        return Response(status_code=204)

    async def feedback(self, request: Request) -> Response:
        principal = await self._authenticator.require(request.scope)
        summary = await self._hub.directory.get(thread_key(request, principal))
        opinion: Opinion = await read_json(request.scope, request.receive, self._hub.limits, Opinion)
        message_id = request.path_params["message_id"]
        id = await self._history.feedback(summary, message_id, opinion.type, opinion.comment, user=principal.user)
        return json_response({"feedback_id": id, "type": opinion.type, "comment": opinion.comment})

    async def _write(self, key: Key, new: CloudMessage) -> str:
        """Add or replace a message, as the holder of its lease if the request names one."""
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

    async def _summary(self, request: Request) -> Summary:
        return await self._hub.directory.get(thread_key(request, await self._authenticator.require(request.scope)))


def message_operations(service: Service, authenticator: Authenticator) -> list[Operation]:
    """Return the operations on messages."""
    messages, page = _Messages(service, authenticator), {"format": str, "after": str, "limit": int}
    many, lease = "/v1/threads/{thread_id}/messages", "/v1/threads/{thread_id}/runs/{lease_id}"
    one, rate = f"{many}/{{message_id}}", messages.feedback
    return [
        cloud_operation("GET", many, messages.list, "A thread's history, newest first", OBJECT, query=page),
        cloud_operation("POST", many, messages.create, "Add a message", OBJECT, CloudMessage),
        cloud_operation("DELETE", many, messages.delete, "Delete messages", DONE, MessageDeletion),
        cloud_operation("PUT", one, messages.update, "Replace a message", DONE, MessageUpdate),
        cloud_operation("POST", f"{one}/feedback", rate, "Rate a message", OBJECT, Opinion),
        cloud_operation("POST", f"{lease}/heartbeat", messages.beat, "Renew a run lease", OBJECT),
        cloud_operation("POST", f"{lease}/end", messages.end, "End a run lease", DONE, RunEnd),
    ]


def _reply_of(message: HistoryMessage, run: dict[str, Any] | None) -> dict[str, Any]:
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
