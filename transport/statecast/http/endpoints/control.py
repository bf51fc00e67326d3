"""Inspecting a thread and cancelling its run: `/cancel`, `/status/{id}`, `/threads/{id}/state`, `/initial-state`."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.errors import InvalidRevision
from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_body
from statecast.http.request.fields import check_thread_id, thread_id_of
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol import Cursor, RunState, Status
from statecast.protocol.errors import ThreadIdRequired
from statecast.threads import Thread

__all__ = ["StateAt", "ThreadOfRun", "control_operations"]


class ThreadOfRun(msgspec.Struct, rename="camel"):
    """A thread, and the run of it that is meant, where another would be wrong."""

    thread_id: str
    run_id: str | None = None


class Cancel(ThreadOfRun, rename="camel"):
    """What to stop: the active run, or a run that is queued."""

    queued: bool = False  #: whether to remove the run from the queue


class Cancelled(msgspec.Struct, rename="camel"):
    """Whether the run was active, and is asked to stop."""

    thread_id: str
    run_id: str | None
    cancelled: bool


class ThreadStatus(msgspec.Struct, rename="camel"):
    """What a thread is doing."""

    thread_id: str
    is_running: bool
    status: Literal["idle"] | Status
    run_id: str | None
    revision: int
    cursor: str
    queued: msgspec.Raw  #: runs that wait for their turn: `[{"runId", "commands"}]`


class StateAt(msgspec.Struct, rename="camel"):
    """A thread's state at a revision, and the run that is active or was the last."""

    thread_id: str
    revision: int
    cursor: str
    state: msgspec.Raw
    run: RunState | None


class InitialState(msgspec.Struct, rename="camel"):
    """The state now, and the run to follow from it."""

    run_id: str
    state: msgspec.Raw


class _Control:
    """Endpoints that answer at once, in JSON. Source: docs/protocol/thread-requests.md, "Threads"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def cancel(self, request: Request) -> Response:
        """Cancel a thread's active run."""
        body = await read_body(request.scope, request.receive, self._service.hub.limits)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise ThreadIdRequired("expected a threadId, got none")
        run_id, cancelled = await self._service.hub.cancel(
            thread_id,
            owner=await self._service.owner(request.scope),
            run_id=body.get("runId", str, None),
            queued=body.get("queued", bool, False),
        )
        return json_response(Cancelled(thread_id, run_id, cancelled))

    async def status(self, request: Request) -> Response:
        """Return what a thread is doing."""
        thread = await self._find(request)
        run, queued = thread.run, thread.queue.as_json()
        await self._service.hub.registry.wait_stored()  # clients see only what is stored
        status = "idle" if run is None else run.status
        return json_response(
            ThreadStatus(
                thread_id=thread.id,
                is_running=status in ("queued", "running"),
                status=status,
                run_id=None if run is None else run.id,
                revision=thread.log.visible,
                cursor=str(thread.cursor),
                queued=msgspec.Raw(queued),
            )
        )

    async def state(self, request: Request) -> Response:
        """Return a thread's current state, or that at `?revision=`."""
        thread = await self._find(request)
        run = thread.run
        text = request.query_params.get("revision")
        if text is None:
            revision, state = await self._service.hub.registry.snapshot(thread)
        else:
            revision = _number(text)
            state = (await self._service.hub.past.point(thread, revision)).state
        cursor = str(Cursor(thread.epoch, revision))
        return json_response(StateAt(thread.id, revision, cursor, msgspec.Raw(state), run))

    async def initial_state(self, request: Request) -> Response:
        """Return the current state and the `runId` to resume with; 204 if no run is active, or it waits."""
        body = await read_body(request.scope, request.receive, self._service.hub.limits)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise ThreadIdRequired("expected a threadId, got none")
        handed = await self._service.hub.hand_out(thread_id, owner=await self._service.owner(request.scope))
        if handed is None:
            return Response(status_code=204)
        run_id, state = handed
        return json_response(InitialState(run_id, msgspec.Raw(state)))

    async def _find(self, request: Request) -> Thread:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        return await self._service.hub.find(thread_id, owner=await self._service.owner(request.scope))


def control_operations(service: Service) -> list[Operation]:
    """Return the operations that look at a thread or stop its run."""
    control, initial = _Control(service), {200: Reply(InitialState), 204: Reply(meaning="No run is active")}
    return [
        Operation(
            "POST", "/initial-state", control.initial_state, "The active run and the state now", initial, ThreadOfRun
        ),
        Operation("POST", "/cancel", control.cancel, "Stop the active run", {200: Reply(Cancelled)}, Cancel),
        Operation("GET", "/status/{thread_id}", control.status, "What a thread is doing", {200: Reply(ThreadStatus)}),
        Operation(
            "GET",
            "/threads/{thread_id}/state",
            control.state,
            "A thread's state",
            {200: Reply(StateAt)},
            query={"revision": int},
        ),
    ]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidRevision(f'expected a revision, a whole number, got "{text[:40]}"')
    return int(text)
