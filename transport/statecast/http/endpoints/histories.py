"""`/threads/{id}/messages`: a thread's history, for pages that write it; feedback and suggestions.

Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.history.formats import PageMessages, read_messages
from statecast.history.tree import HistoryMessage
from statecast.http.operation import DONE, Operation, Reply
from statecast.http.request.body import read_as, read_json
from statecast.http.request.fields import thread_key
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import timestamp
from statecast.protocol.errors import InvalidRequest
from statecast.stores import Summary
from statecast.threads import EACH, History, offload
from statecast_agents import Json

from .titles import suggestions_response

__all__ = ["Opinion", "message_operations"]

#: The form of messages, unless the request names another.
FORMAT = "aui/v0"


class HistoryItem(msgspec.Struct, rename="camel"):
    """A message as the client stores it, and its parent's id."""

    message: dict[str, Json]
    parent_id: str | None = None


class MessageId(msgspec.Struct):
    """The id of what was written."""

    id: str


class LoadedHistory(msgspec.Struct, rename={"head_id": "headId"}):
    """A thread's messages, as assistant-ui loads them."""

    head_id: str | None
    messages: list[HistoryItem]
    unstable_resume: bool  #: whether an answer is under way, which the client follows then


class Opinion(msgspec.Struct):
    """What a user thinks of a message."""

    type: Literal["positive", "negative"]
    comment: str | None = None


class _Messages:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._hub = service.hub
        self._history = History(service.hub)

    async def load(self, request: Request) -> Response:
        summary = await self._summary(request)
        format = request.query_params.get("format", FORMAT)
        messages = await self._history.read(summary, format=format)
        thread = await self._hub.known(summary.key.thread_id, owner=summary.key.owner)
        continues = thread is not None and thread.active is not None and thread.active.waits_since is None
        if continues:  # what there is of the answer comes again when the client resumes
            while messages and messages[-1].content.get("role") == "assistant":
                messages.pop()
        opinions = await self._history.feedbacks(summary.key) if format == FORMAT else {}

        def answer() -> Response:
            items = [_reply_of(message, opinions.get(message.id)) for message in messages]
            head = messages[-1].id if messages else None
            return json_response(LoadedHistory(head, items, continues))

        return await offload(EACH * len(messages), answer)

    async def append(self, request: Request) -> Response:
        return await self._write(request, None)

    async def update(self, request: Request) -> Response:
        return await self._write(request, request.path_params["message_id"])

    async def delete(self, request: Request) -> Response:
        await self._history.delete(await self._summary(request), [request.path_params["message_id"]])
        return Response(status_code=204)

    async def feedback(self, request: Request) -> Response:
        caller = await self._service.caller(request.scope)
        summary = await self._hub.directory.get(thread_key(request, caller))
        opinion: Opinion = await read_json(request.scope, request.receive, self._hub.limits, Opinion)
        message_id = request.path_params["message_id"]
        id = await self._history.feedback(summary, message_id, opinion.type, opinion.comment, user=caller.user)
        return json_response(MessageId(id))

    async def suggestions(self, request: Request) -> Response:
        caller = await self._service.caller(request.scope)
        summary = await self._hub.directory.get(thread_key(request, caller))
        messages = await read_as(request.scope, request.receive, self._hub.limits, read_messages)
        agent, about = await self._history.about(summary, messages, user=caller.user)
        return await suggestions_response(self._hub, summary, agent, about)

    async def _write(self, request: Request, id: str | None) -> Response:
        summary = await self._summary(request)
        item: HistoryItem = await read_json(request.scope, request.receive, self._hub.limits, HistoryItem)
        content = {name: value for name, value in item.message.items() if name not in ("id", "createdAt")}
        named = item.message.get("id")
        if id is None and isinstance(named, str):
            id = named
        if named not in (None, id):
            raise InvalidRequest(f'expected the message "{id}", got "{named!r:.140}"')
        format = request.query_params.get("format", FORMAT)
        written = await self._history.write(
            summary.key, parent_id=item.parent_id, format=format, content=content, id=id
        )
        return json_response(MessageId(written))

    async def _summary(self, request: Request) -> Summary:
        caller = await self._service.caller(request.scope)
        return await self._hub.directory.get(thread_key(request, caller))


def message_operations(service: Service) -> list[Operation]:
    """Return the operations of histories."""
    messages, form, id = _Messages(service), {"format": str}, {200: Reply(MessageId)}
    many, one = "/threads/{thread_id}/messages", "/threads/{thread_id}/messages/{message_id}"
    lines = {200: Reply(media={"application/x-ndjson": "a line for each list, the last of which is complete"})}
    more = "/threads/{thread_id}/suggestions"
    return [
        Operation("GET", many, messages.load, "The history of a thread", {200: Reply(LoadedHistory)}, query=form),
        Operation("POST", many, messages.append, "Add a message", id, HistoryItem, form),
        Operation("PUT", one, messages.update, "Replace a message", id, HistoryItem, form),
        Operation("DELETE", one, messages.delete, "Delete a message", {204: DONE}),
        Operation("POST", f"{one}/feedback", messages.feedback, "Rate a message", id, Opinion),
        Operation("POST", more, messages.suggestions, "Suggest what the user may say next", lines, PageMessages),
    ]


def _reply_of(message: HistoryMessage, opinion: dict[str, Json] | None) -> HistoryItem:
    content = message.content
    if opinion is not None:
        metadata = content.get("metadata")
        given = metadata if isinstance(metadata, dict) else {}
        feedback = {name: opinion[name] for name in ("type", "comment") if opinion.get(name) is not None}
        content = {**content, "metadata": {**given, "submittedFeedback": feedback}}
    fields = {**content, "id": message.id, "createdAt": timestamp(message.created)}
    return HistoryItem(fields, message.parent_id)
