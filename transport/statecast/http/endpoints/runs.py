"""`GET /threads/{id}/runs` and `POST /threads/{id}/retry`: what the runs of a thread have been, and another try.

Source: docs/protocol/thread-requests.md, "GET /threads/{id}/runs".
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.threads import RunRecord

__all__ = ["run_operations"]


class RunList(msgspec.Struct):
    """The runs of a thread, the newest first."""

    runs: list[RunRecord]


class RunToRetry(msgspec.Struct, rename="camel"):
    """The run whose commands run again; without one, the last run."""

    run_id: str | None = None


class Retried(msgspec.Struct, rename="camel"):
    """The run that was begun."""

    thread_id: str
    run_id: str | None
    retries: str  #: the run whose commands it has


class _Runs:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        owner = await self._service.owner(request.scope)
        return json_response(RunList(await self._service.hub.list_runs(thread_id, owner=owner)))

    async def retry(self, request: Request) -> Response:
        thread_id, hub = request.path_params["thread_id"], self._service.hub
        check_thread_id(thread_id)
        body: RunToRetry = await read_json(request.scope, request.receive, hub.limits, RunToRetry)
        caller = await self._service.caller(request.scope)
        retried, submission = await hub.retry(
            thread_id, body.run_id, owner=caller.owner, user=caller.user, trace=caller.trace
        )
        return json_response(Retried(thread_id, submission.run_id, retried), status=202)


def run_operations(service: Service) -> list[Operation]:
    """Return the operations of a thread's runs."""
    runs, began = _Runs(service), {202: Reply(Retried, "It is queued")}
    return [
        Operation("GET", "/threads/{thread_id}/runs", runs.list, "The runs of a thread", {200: Reply(RunList)}),
        Operation("POST", "/threads/{thread_id}/retry", runs.retry, "Run a run's commands again", began, RunToRetry),
    ]
