"""`POST /assistant`: commands in, the thread's stream out. `POST /resume`: the stream alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.types import Receive, Scope, Send

from statecast.http.errors import CommandsOnResume
from statecast.http.operation import AgentName, AnyCommand, Operation, Reply
from statecast.http.request.body import read_body
from statecast.http.request.fields import posted_of, protocol_of, thread_id_of
from statecast.http.response.answer import headers_of
from statecast.http.response.stream import Stream, begin_stream
from statecast.http.response.subscription import Subscription
from statecast.http.service import Service
from statecast.protocol import Encoder
from statecast.protocol.errors import ThreadIdRequired
from statecast.threads import OnDisconnect, Submission
from statecast_agents import CallSettings, Config, Json
from statecast_agents.agent import Policy

from .control import ThreadOfRun

__all__ = ["assistant_operations"]

#: As in `PROTOCOLS`.
StateProtocol = Literal["data-stream", "assistant-transport"]


class AssistantRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    """Commands for a thread's agent. Fields of the app's own may come beside."""

    commands: list[AnyCommand] = []
    state: Json | UnsetType = UNSET  #: as the client knows it; left out: it knows none
    thread_id: str | None = None
    parent_id: str | None = None
    system: str | None = None
    tools: dict[str, Json] = {}
    call_settings: CallSettings | UnsetType = UNSET
    config: Config | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    on_disconnect: OnDisconnect | UnsetType = UNSET
    protocol: StateProtocol | UnsetType = UNSET
    agent: AgentName | UnsetType = UNSET


class ResumeRequest(ThreadOfRun, rename="camel", omit_defaults=True):
    """The run to follow, and the state as the client knows it."""

    state: Json | UnsetType = UNSET
    protocol: StateProtocol | UnsetType = UNSET


def assistant_operations(service: Service) -> list[Operation]:
    """Return the operations of assistant-ui's Assistant Transport."""
    media = {"text/plain": "data-stream: lines of `code:json`", "text/event-stream": "assistant-transport: chunks"}
    stream, query = {200: Reply(media=media)}, {"protocol": StateProtocol}
    send, resume = _Assistant(service), _Resume(service)
    return [
        Operation(
            "POST",
            "/assistant",
            send,
            "Send commands and follow the run",
            stream,
            AssistantRequest,
            {**query, "agent": AgentName},
        ),
        Operation("POST", "/resume", resume, "Follow the active run again", stream, ResumeRequest, query),
    ]


class _Assistant:
    """Accept a batch of commands and stream its run.

    Source: docs/protocol/assistant-transport.md, "POST /assistant".
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        body = await read_body(scope, receive, service.hub.limits)
        encoder = protocol_of(scope, body)
        caller = await service.caller(scope)
        posted = await posted_of(
            scope, body, service.hub, caller, thread_id=thread_id_of(body), on_disconnect=service.on_disconnect
        )
        del body
        accepted = await service.hub.submit(posted)
        del posted
        await _begin(service, accepted, encoder(accepted.run_id), scope, send)


class _Resume:
    """Stream a thread's active run to a client that lost the stream.

    Source: docs/protocol/assistant-transport.md, "POST /resume".
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        body = await read_body(scope, receive, service.hub.limits)
        encoder = protocol_of(scope, body)
        thread_id = thread_id_of(body)
        if thread_id is None:
            raise ThreadIdRequired("expected a threadId to resume, got none")
        if body.list("commands"):
            raise CommandsOnResume("expected no commands on a resume; send them to /assistant")
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
        latest = accepted.thread.run
        over = [] if accepted.run is not None or latest is None else [(b"x-stream-status", latest.status.encode())]
        await _begin(service, accepted, encoder(accepted.run_id), scope, send, over, replays=True)


async def _begin(
    service: Service,
    accepted: Submission,
    encoder: Encoder,
    scope: Scope,
    send: Send,
    extra: Sequence[tuple[bytes, bytes]] = (),
    *,
    replays: bool = False,
) -> None:
    headers = [*encoder.headers, *headers_of(accepted), *extra]
    subscription = Subscription(service.hub, accepted, encoder)
    first = b""
    if replays:
        try:
            first = await subscription.reader.replay(accepted.run_id if accepted.handed else None)
        except BaseException:
            subscription.close(disconnected=True)
            raise
        # A client takes the state that it was handed, and what a replay holds, for history, and runs no tool whose call
        # is there; so there is a replay, be it an empty frame. But what a run asks for is still to be done, even by a
        # page that has only just been loaded: nothing is called a replay then.
        if accepted.run is None or not accepted.run.asks:
            if accepted.handed and not first:
                first = encoder.heartbeat
            headers.append((b"aui-replay-content-length", b"%d" % len(first)))
    await begin_stream(scope, send, headers, Stream(subscription, first=first))
