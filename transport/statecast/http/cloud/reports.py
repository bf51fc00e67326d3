"""`/v1/runs`, `/v1/events` and `/v1/scores`: clients' reports, passed to the app's hook and not stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation
from statecast.http.request.body import read_json
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol.errors import InvalidRequest
from statecast.stores import Key
from statecast.threads import HookFailed
from statecast.threads.runs.hook_calls import InThread
from statecast_agents import Json, new_id
from statecast_agents.functions import is_async

from .authenticator import Authenticator
from .form import OBJECT, cloud_operation, summary_of
from .settings import CloudReport

__all__ = ["report_operations"]

#: Events in a request.
EVENTS: Final = 50

_T = TypeVar("_T")


class CostDetails(msgspec.Struct):
    """What a run cost, by kind of token."""

    input: float | None = None
    input_cached_tokens: float | None = None
    output: float | None = None
    total: float | None = None


class RunReport(msgspec.Struct):
    """The fields of a run's report that are checked; clients add others, and kinds of outcomes."""

    thread_id: str
    status: str
    outcome_type: str | None = None
    message_id: str | None = None
    user_message_id: str | None = None
    trace_id: str | None = None
    root_span_id: str | None = None
    model_id: str | None = None
    cost_usd: float | None = None
    cost_details: CostDetails | None = None
    duration_ms: float | None = None
    total_steps: float | None = None


class EventsReport(msgspec.Struct):
    """What users did; each event names its thread."""

    events: list[dict[str, Json]]


class ScoreReport(msgspec.Struct):
    """A score of a thread, a message or a run."""

    name: str
    data_type: str
    value: float | bool | None = None
    string_value: str | None = None
    comment: str | None = None
    thread_id: str | None = None
    message_id: str | None = None
    run_id: str | None = None


class _Reports:
    """Check reports, and pass them to the app's hook, if any."""

    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._hub = service.hub
        self._authenticator = authenticator
        self._hook = authenticator.cloud.report

    async def run(self, request: Request) -> Response:
        user, fields = (await self._authenticator.require(request.scope)).user, await self._fields(request)
        run = _converted(fields, RunReport)
        if run.status not in ("completed", "incomplete", "error"):
            message = f'expected the status "completed", "incomplete" or "error", got "{run.status[:40]}"'
            raise InvalidRequest(message)
        await summary_of(self._hub, user.workspace, run.thread_id)
        id = new_id("run")
        await self._pass(CloudReport(kind="run", id=id, thread_id=run.thread_id, user=user, fields=fields))
        return json_response({"run_id": id})

    async def events(self, request: Request) -> Response:
        user, fields = (await self._authenticator.require(request.scope)).user, await self._fields(request)
        events = _converted(fields, EventsReport).events
        if len(events) > EVENTS:
            raise InvalidRequest(f"expected at most {EVENTS} events, got {len(events)}", limit=EVENTS)
        reports = []
        for event in events:
            thread_id = str(event.get("thread_id"))
            if await self._hub.directory.find(Key(user.workspace, thread_id)) is not None:
                id = new_id("evt")
                reports.append(CloudReport(kind="event", id=id, thread_id=thread_id, user=user, fields=event))
        await self._pass(*reports)
        return json_response({"kept": len(reports)})

    async def score(self, request: Request) -> Response:
        user, fields = (await self._authenticator.require(request.scope)).user, await self._fields(request)
        score = _converted(fields, ScoreReport)
        if score.data_type not in ("numeric", "categorical", "boolean") or score.thread_id is None:
            message = 'expected a thread_id, and the data_type "numeric", "categorical" or "boolean"'
            raise InvalidRequest(message)
        await summary_of(self._hub, user.workspace, score.thread_id)
        id = new_id("score")
        await self._pass(CloudReport(kind="score", id=id, thread_id=score.thread_id, user=user, fields=fields))
        value = None if score.value is None else float(score.value)
        named = {"name": score.name, "data_type": score.data_type, "string_value": score.string_value}
        return json_response({"score_id": id, "value": value, **named})

    async def _fields(self, request: Request) -> dict[str, Json]:
        fields: dict[str, Json] = await read_json(request.scope, request.receive, self._hub.limits, dict[str, Any])
        return fields

    async def _pass(self, *reports: CloudReport) -> None:
        """Call the hook with each report. A failure is logged and does not reach the client.

        Raises:
            RequestError: As `Hub.ask`.
        """
        hook = self._hook
        if hook is None or not reports:
            return

        async def calls(in_thread: InThread) -> AsyncGenerator[None, None]:
            for report in reports:
                answer = hook(report) if is_async(hook) else await in_thread(hook, report)
                if answer is not None:
                    await answer
            yield

        key = Key(reports[0].user.workspace, reports[0].thread_id)
        try:
            await anext(self._hub.ask(next(iter(self._hub.agents.values())), key, "a report", calls))
        except HookFailed:
            pass


def report_operations(service: Service, authenticator: Authenticator) -> list[Operation]:
    """Return the operations by which clients report."""
    reports = _Reports(service, authenticator)
    return [
        cloud_operation("POST", "/v1/runs", reports.run, "Report a run", OBJECT, RunReport),
        cloud_operation("POST", "/v1/events", reports.events, "Report what users did", OBJECT, EventsReport),
        cloud_operation("POST", "/v1/scores", reports.score, "Score a thread, a message or a run", OBJECT, ScoreReport),
    ]


def _converted(fields: dict[str, Json], type: type[_T]) -> _T:
    try:
        return msgspec.convert(fields, type)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}") from None
