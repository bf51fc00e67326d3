"""`/v1/runs`: titles, an assistant's answers, and what clients report of runs and of their users."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from statecast.history.formats import read_messages
from statecast.http.endpoints.titles import title_response
from statecast.http.history import History
from statecast.http.request.body import read_as, read_json
from statecast.http.request.caller import EXPIRES, Caller
from statecast.http.request.fields import Service, check_thread_id, named_agent
from statecast.http.response.answer import converse, stream_answer
from statecast.http.response.errors import json_response
from statecast.protocol.ai_sdk.data_stream import DataStreamMessagesEncoder
from statecast.protocol.ai_sdk.request import read_chat
from statecast.protocol.errors import Refusal
from statecast.protocol.json_checks import decode
from statecast.protocol.messages.conversation import Conversation
from statecast.stores import Card, Key
from statecast.threads import Hub
from statecast_agents import Json, new_id

from .form import CloudRoute
from .identity import Identity, Who

__all__ = ["run_routes"]

#: The assistant that makes titles.
TITLE: Final = "system/thread_title"

#: The form in which other assistants answer.
DATA_STREAM: Final = "vercel-ai-data-stream/v1"

#: What the client calls a thread that it has not got.
NO_THREAD: Final = "unstable_todo"

#: Events in a request.
EVENTS: Final = 50


class _Asked(msgspec.Struct):
    assistant_id: str
    thread_id: str
    messages: list[dict[str, Any]] = []
    response_format: str | None = None


class _CostDetails(msgspec.Struct):
    input: float | None = None
    input_cached_tokens: float | None = None
    output: float | None = None
    total: float | None = None


class _Report(msgspec.Struct):
    """What is read of a report, which is kept whole: clients add fields, and kinds of outcomes, as they go."""

    thread_id: str
    status: str
    outcome_type: str | None = None
    message_id: str | None = None
    user_message_id: str | None = None
    trace_id: str | None = None
    root_span_id: str | None = None
    model_id: str | None = None
    cost_usd: float | None = None
    cost_details: _CostDetails | None = None
    duration_ms: float | None = None
    total_steps: float | None = None


class _Events(msgspec.Struct):
    events: list[dict[str, Json]]


class _Score(msgspec.Struct):
    name: str
    data_type: str
    value: float | bool | None = None
    string_value: str | None = None
    comment: str | None = None
    thread_id: str | None = None
    message_id: str | None = None
    run_id: str | None = None


class _StreamEndpoint:
    """Answers a title or an assistant's run. An app, not a function: its stream is run after it has returned."""

    def __init__(self, service: Service, identity: Identity) -> None:
        self._service = service
        self._history = History(service)
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hub = self._service.hub
        who = await self._identity.required(scope)
        scope[EXPIRES] = who.expires_at
        claims = ("messages", "state")
        asked, messages, conversation = await read_as(scope, receive, hub.limits, _read_asked, claims=claims)
        if asked.assistant_id == TITLE:
            await (await self._title(asked, messages, who))(scope, receive, send)
            return
        if conversation is None:
            message = f'expected the response_format "{DATA_STREAM}", got "{asked.response_format}"'
            raise Refusal(422, "invalid_request", message)
        agent = named_agent(asked.assistant_id, hub)
        thread_id = conversation.thread_id or (None if asked.thread_id == NO_THREAD else asked.thread_id)
        if thread_id is not None:
            check_thread_id(thread_id)
        conversation = msgspec.structs.replace(conversation, thread_id=thread_id, agent=agent.name)
        answer = await converse(self._service, conversation, agent, Caller(owner=who.workspace, user=who.user))
        await stream_answer(self._service, answer, DataStreamMessagesEncoder(answer.projection), scope, send)

    async def _title(self, asked: _Asked, messages: list[dict[str, Json]] | None, who: Who) -> Response:
        card = await _card(self._service.hub, who.workspace, asked.thread_id)
        agent, about = await self._history.about(card, messages, user=who.user)
        return await title_response(self._service.hub, card, agent, about)


class _Reports:
    """Keeps what clients report, with the thread that it is about."""

    def __init__(self, service: Service, identity: Identity) -> None:
        self._hub = service.hub
        self._identity = identity

    async def report(self, request: Request) -> Response:
        who, fields = await self._identity.required(request.scope), await self._fields(request)
        report = _converted(fields, _Report)
        if report.status not in ("completed", "incomplete", "error"):
            message = f'expected the status "completed", "incomplete" or "error", got "{report.status[:40]}"'
            raise Refusal(422, "invalid_request", message)
        card = await _card(self._hub, who.workspace, report.thread_id)
        run_id = new_id("run")
        await self._note(card.key, "report", run_id, {**fields, "run_id": run_id, "user": who.user.id})
        return json_response({"run_id": run_id})

    async def events(self, request: Request) -> Response:
        who, fields = await self._identity.required(request.scope), await self._fields(request)
        events = _converted(fields, _Events).events
        if len(events) > EVENTS:
            raise Refusal(422, "invalid_request", f"expected at most {EVENTS} events, got {len(events)}", limit=EVENTS)
        kept = 0
        for event in events:
            key = Key(who.workspace, str(event.get("thread_id")))
            if await self._hub.shelf.find(key) is not None:
                await self._note(key, "event", new_id("evt"), {**event, "user": who.user.id})
                kept += 1
        return json_response({"kept": kept})

    async def score(self, request: Request) -> Response:
        who, fields = await self._identity.required(request.scope), await self._fields(request)
        score = _converted(fields, _Score)
        if score.data_type not in ("numeric", "categorical", "boolean") or score.thread_id is None:
            message = 'expected a thread_id, and the data_type "numeric", "categorical" or "boolean"'
            raise Refusal(422, "invalid_request", message)
        card = await _card(self._hub, who.workspace, score.thread_id)
        id = new_id("score")
        await self._note(card.key, "score", id, {**fields, "user": who.user.id})
        value = None if score.value is None else float(score.value)
        shown = {"name": score.name, "data_type": score.data_type, "string_value": score.string_value}
        return json_response({"score_id": id, "value": value, **shown})

    async def _fields(self, request: Request) -> dict[str, Json]:
        fields: dict[str, Json] = await read_json(request.scope, request.receive, self._hub.limits, dict[str, Any])
        return fields

    async def _note(self, key: Key, kind: str, id: str, fields: dict[str, Json]) -> None:
        await self._hub.shelf.note(key, kind, id, msgspec.json.encode({**fields, "at": time.time()}))


def _read_asked(data: bytes) -> tuple[_Asked, list[dict[str, Json]] | None, Conversation | None]:
    """Read a body: with the messages that a title is to be of, or the conversation that is to be answered."""
    asked: _Asked = decode(data, _Asked)
    if asked.assistant_id == TITLE:
        return asked, read_messages(data), None
    return asked, None, read_chat(data) if asked.response_format == DATA_STREAM else None


def run_routes(service: Service, identity: Identity) -> list[Route]:
    """Return the routes of runs, and of what is reported."""
    reports = _Reports(service, identity)
    return [
        CloudRoute("/v1/runs/stream", _StreamEndpoint(service, identity), methods=["POST"]),
        CloudRoute("/v1/runs", reports.report, methods=["POST"]),
        CloudRoute("/v1/events", reports.events, methods=["POST"]),
        CloudRoute("/v1/scores", reports.score, methods=["POST"]),
    ]


async def _card(hub: Hub, owner: str, thread_id: str) -> Card:
    check_thread_id(thread_id)
    return await hub.shelf.get(Key(owner, thread_id))


def _converted(fields: dict[str, Json], type: Any) -> Any:  # as in msgspec
    try:
        return msgspec.convert(fields, type)
    except msgspec.ValidationError as error:
        raise Refusal(422, "invalid_request", f"{error}") from None
