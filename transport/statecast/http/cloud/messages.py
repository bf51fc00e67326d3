"""`/v1/threads/{id}/messages`: the history of a thread, the newest message first, and what users say of messages."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.body import read_json
from statecast.http.cards import MOST, limit_of, timestamp
from statecast.http.history import History
from statecast.http.problems import json_response
from statecast.http.requests import Service
from statecast.protocol.history import Placed
from statecast.stores import Card
from statecast_agents import Json

from .form import CloudRoute
from .identity import Identity
from .threads import key_of

__all__ = ["message_routes"]


class _New(msgspec.Struct):
    format: str
    content: dict[str, Json]
    parent_id: str | None = None


class _Changed(msgspec.Struct):
    content: dict[str, Json]


class _Opinion(msgspec.Struct):
    type: Literal["positive", "negative"]
    comment: str | None = None


class _Messages:
    def __init__(self, service: Service, identity: Identity) -> None:
        self._hub = service.hub
        self._history = History(service)
        self._identity = identity

    async def list(self, request: Request) -> Response:
        card = await self._card(request)
        query = request.query_params
        limit = limit_of(query.get("limit"), MOST)
        messages = (await self._history.read(card, format=query.get("format")))[::-1]
        if query.get("after"):
            ids = [message.id for message in messages]
            # As in the list of threads: what is gone is no place, and the client knows what it has.
            messages = messages[ids.index(query["after"]) + 1 :] if query["after"] in ids else messages
        return json_response({"messages": [_shown(message) for message in messages[:limit]]})

    async def create(self, request: Request) -> Response:
        card = await self._card(request)
        new: _New = await read_json(request.scope, request.receive, self._hub.limits, _New)
        id = await self._history.write(card.key, parent_id=new.parent_id, format=new.format, content=new.content)
        return json_response({"message_id": id})

    async def update(self, request: Request) -> Response:
        card = await self._card(request)
        changed: _Changed = await read_json(request.scope, request.receive, self._hub.limits, _Changed)
        await self._history.update(card, request.path_params["message_id"], changed.content)
        return Response(status_code=204)

    async def feedback(self, request: Request) -> Response:
        who = await self._identity.required(request.scope)
        card = await self._hub.shelf.get(key_of(request, who))
        opinion: _Opinion = await read_json(request.scope, request.receive, self._hub.limits, _Opinion)
        message_id = request.path_params["message_id"]
        id = await self._history.feedback(card, message_id, opinion.type, opinion.comment, user=who.user)
        return json_response({"feedback_id": id, "type": opinion.type, "comment": opinion.comment})

    async def _card(self, request: Request) -> Card:
        return await self._hub.shelf.get(key_of(request, await self._identity.required(request.scope)))


def message_routes(service: Service, identity: Identity) -> list[Route]:
    """Return the routes of messages."""
    messages = _Messages(service, identity)
    path = "/v1/threads/{thread_id}/messages"
    return [
        CloudRoute(path, messages.list, methods=["GET"]),
        CloudRoute(path, messages.create, methods=["POST"]),
        CloudRoute(path + "/{message_id}", messages.update, methods=["PUT"]),
        CloudRoute(path + "/{message_id}/feedback", messages.feedback, methods=["POST"]),
    ]


def _shown(message: Placed) -> dict[str, Any]:
    return {
        "id": message.id,
        "parent_id": message.parent_id,
        "height": message.height,
        "created_at": timestamp(message.created),
        "updated_at": timestamp(message.updated),
        "format": message.format,
        "content": message.content,
    }
