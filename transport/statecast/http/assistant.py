"""`POST /assistant`: commands in, the thread's stream out. `POST /resume`: the stream alone."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from statecast.protocol import Encoder
from statecast.protocol.refusal import Refusal
from statecast.threads import Accepted, Posted

from .body import read_body
from .problems import STREAMING
from .requests import Service, agent_of, on_disconnect_of, policy_of, protocol_of, request_of, thread_id_of
from .stream import send_stream

__all__ = ["AssistantEndpoint", "ResumeEndpoint"]


class AssistantEndpoint:
    """Takes a batch of commands and streams what becomes of it. Source: docs/protocol.md, "POST /assistant"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        body = await read_body(scope, receive, service.hub.limits)
        encoder = protocol_of(scope, body)
        agent = agent_of(scope, body, service.hub)
        posted = Posted(
            agent=agent,
            commands=body.list("commands"),
            thread_id=thread_id_of(body),
            claim=body.raw("state"),
            owner=await service.owner(scope),
            request=request_of(body, agent),
            on_disconnect=on_disconnect_of(body, service.on_disconnect),
            policy=policy_of(body),
        )
        del body
        accepted = await service.hub.submit(posted)
        del posted
        scope[STREAMING] = True
        await _stream(service, accepted, encoder(accepted.run_id), receive, send)


class ResumeEndpoint:
    """Streams a thread's active run to a client that lost it. Source: docs/protocol.md, "POST /resume"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        body = await read_body(scope, receive, service.hub.limits)
        encoder = protocol_of(scope, body)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise Refusal(422, "thread_id_required", "expected a threadId to resume, got none")
        if body.list("commands"):
            raise Refusal(422, "commands_on_resume", "expected no commands on a resume; send them to /assistant")
        run_id = body.get("runId", str, None)
        accepted = await service.hub.resume(
            thread_id, body.raw("state"), owner=await service.owner(scope), run_id=run_id
        )
        if accepted is None:
            nothing = encoder(None)
            headers = [*nothing.headers, (b"x-stream-status", b"not_found")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": nothing.finish()})
            return
        status = accepted.thread.last_run.status if accepted.run is None and accepted.thread.last_run else None
        extra = [] if status is None else [(b"x-stream-status", status.encode())]
        scope[STREAMING] = True
        await _stream(service, accepted, encoder(accepted.run_id), receive, send, extra)


async def _stream(
    service: Service,
    accepted: Accepted,
    encoder: Encoder,
    receive: Receive,
    send: Send,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    thread = accepted.thread
    headers = [*encoder.headers, (b"statecast-thread-id", thread.id.encode()), *(extra or ())]
    headers.append((b"statecast-cursor", str(accepted.cursor).encode()))
    if accepted.run_id is not None:
        headers.append((b"statecast-run-id", accepted.run_id.encode()))
    until = None if accepted.run is None else accepted.run_id
    reader = thread.follow(encoder, revision=accepted.revision, snapshot=accepted.snapshot, until=until)
    gone = False

    def lost() -> None:
        nonlocal gone
        gone = True

    try:
        await send_stream(reader, headers, receive, send, lost=lost)
    finally:
        thread.leave(reader)
        if gone:
            service.hub.left(accepted)
