"""Looking at a thread, and stopping its run: `/cancel`, `/status/{id}`, `/threads/{id}/state`, `/initial-state`."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.request.body import read_body
from statecast.http.request.fields import check_thread_id, thread_id_of
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol import Cursor
from statecast.protocol.errors import Refusal
from statecast.threads import Thread

__all__ = ["ControlEndpoints"]


class ControlEndpoints:
    """Requests that are answered at once, in JSON. Source: docs/protocol.md, "Threads"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def cancel(self, request: Request) -> Response:
        """Stop a thread's active run."""
        body = await read_body(request.scope, request.receive, self._service.hub.limits)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise Refusal(422, "thread_id_required", "expected the threadId of what to cancel, got none")
        run_id, cancelled = await self._service.hub.cancel(
            thread_id,
            owner=await self._service.owner(request.scope),
            run_id=body.get("runId", str, None),
            queued=body.get("queued", bool, False),
        )
        return json_response({"threadId": thread_id, "runId": run_id, "cancelled": cancelled})

    async def status(self, request: Request) -> Response:
        """Say what a thread is doing."""
        thread = await self._find(request)
        await self._service.hub.registry.settle()  # what is said of a run is kept
        run = thread.run
        status = "idle" if run is None or run.ended else run.status
        return json_response(
            {
                "threadId": thread.id,
                "isRunning": status in ("queued", "running"),
                "status": status if run is None or not run.ended else run.status,
                "runId": None if run is None else run.id,
                "revision": thread.log.visible,
                "cursor": str(thread.cursor),
                "queued": msgspec.Raw(thread.queue.as_json()),
            }
        )

    async def state(self, request: Request) -> Response:
        """Return a thread's state as it is, or as it was at `?revision=`."""
        thread = await self._find(request)
        run = thread.run
        asked = request.query_params.get("revision")
        if asked is None:
            revision, state = await self._service.hub.registry.snapshot(thread)
        else:
            revision = _number(asked)
            state = await self._service.hub.registry.state_at(thread, revision)
        return json_response(
            {
                "threadId": thread.id,
                "revision": revision,
                "cursor": str(Cursor(thread.epoch, revision)),
                "state": msgspec.Raw(state),
                "run": run,
            }
        )

    async def initial_state(self, request: Request) -> Response:
        """Return the state now, and the `runId` to resume from it with; 204 if no run is active, or it waits."""
        body = await read_body(request.scope, request.receive, self._service.hub.limits)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise Refusal(422, "thread_id_required", "expected a threadId, got none")
        handed = await self._service.hub.hand_out(thread_id, owner=await self._service.owner(request.scope))
        if handed is None:
            return Response(status_code=204)
        run_id, state = handed
        return json_response({"runId": run_id, "state": msgspec.Raw(state)})

    async def _find(self, request: Request) -> Thread:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        return await self._service.hub.find(thread_id, owner=await self._service.owner(request.scope))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Refusal(422, "invalid_revision", f'expected a revision, a whole number, got "{text[:40]}"')
    return int(text)
