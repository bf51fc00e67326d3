"""`WS /threads/{id}/ws`: a thread's events and its commands on one socket.

A message from the client is one frame, a JSON object: `commands` (the fields of a `POST /assistant`, and a `ref`),
`cancel`, or `ping`. A message from the server is one or more frames, a line each: the events of the thread, and for
each frame with a `ref` an `ack`, a `refused` or a `pong` with the same one.
Source: docs/protocol/thread-events.md, "WS /threads/{id}/ws".
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from statecast.http.errors import BodyTooLarge, UnknownFrame
from statecast.http.middleware.cors import is_welcome
from statecast.http.request.body import RequestBody, body_of
from statecast.http.request.caller import Caller, seconds_left
from statecast.http.request.fields import check_thread_id, posted_of
from statecast.http.response.errors import deny, request_error
from statecast.http.response.statuses import status_of
from statecast.http.response.stream import GATHER
from statecast.http.response.subscription import Subscription
from statecast.http.service import Service
from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError, Unavailable, error_fields
from statecast.protocol.thread_events.encoder import EventsEncoder, framed_as_line
from statecast.threads import Thread, offload

from .events import followed

__all__ = ["SocketEndpoint"]

STOPPING: Final = 1012  #: the server restarts; connect again
AWAY: Final = 1013  #: the server cannot tell what it has of the thread; try again later
EXPIRED: Final = 4401  #: the credentials with which it was opened have expired; connect again with new ones
NOT_ALLOWED: Final = 4403  #: the page's origin may not use this server
UNKNOWN: Final = 4404  #: there is no such thread, and the first frame did not make it
STALLED: Final = 4408  #: the client read nothing for too long

PATIENCE: Final = 60.0  #: seconds that one message may take to leave

HEARTBEAT: Final = b'{"type":"heartbeat"}\n'


class Ack(msgspec.Struct, frozen=True, tag="ack", tag_field="type", rename="camel"):
    """The commands of the frame `ref` are accepted and stored."""

    ref: str | None
    run_id: str | None  #: the run that they led to; None if there was nothing to run
    revision: int  #: of the log; what is applied at once is part of it
    cursor: str


class CancelAck(msgspec.Struct, frozen=True, tag="ack", tag_field="type", rename="camel"):
    """The active run, if any, is being cancelled."""

    ref: str | None
    run_id: str | None
    cancelled: bool


class ErrorFrame(msgspec.Struct, frozen=True, tag="refused", tag_field="type", rename="camel"):
    """The frame `ref` was refused without effect."""

    ref: str | None
    status: int  #: that the same request would have had over HTTP
    error: dict[str, Any]
    retry_after: float | UnsetType = UNSET  #: seconds


class Pong(msgspec.Struct, frozen=True, tag="pong", tag_field="type"):
    """The answer to a `ping`."""

    ref: str | None


class SocketEndpoint:
    """Serve one thread on one socket.

    Args:
        service: What it serves.
        origins: Whose pages may connect, beside this server's own; `*` for any.
    """

    def __init__(self, service: Service, origins: frozenset[str]) -> None:
        self._service = service
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        if not is_welcome(Headers(scope=scope), self._origins):
            await socket.close(NOT_ALLOWED)
            return
        thread_id = scope["path_params"]["thread_id"]
        try:
            check_thread_id(thread_id)
            caller = await self._service.caller(scope)
        except (RequestError, HTTPException) as error:
            await deny(socket, request_error(error, scope))
            return
        await socket.accept()
        await _Session(self._service, socket, scope, thread_id, caller).run()


class _Session:
    """One connection."""

    def __init__(self, service: Service, socket: WebSocket, scope: Scope, thread_id: str, caller: Caller) -> None:
        self._service = service
        self._socket = socket
        self._scope = scope
        self._thread_id = thread_id
        self._caller = caller
        self._following: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until either side closes, or the caller's identification expires."""
        try:
            async with asyncio.timeout(seconds_left(self._caller.expires_at)):
                await self._serve()
        except TimeoutError:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # as below
                await self._socket.close(EXPIRED)

    async def _serve(self) -> None:
        try:
            thread = await self._service.hub.find(self._thread_id, owner=self._caller.owner)
        except Unavailable:
            await self._socket.close(AWAY)
            return
        except RequestError:
            pass  # if it is not known, its first commands may make it
        else:
            self._follow(thread)
        try:
            while True:
                await self._handle(await self._receive())
        except (WebSocketDisconnect, RuntimeError):  # starlette's word for a socket that was closed meanwhile
            pass
        finally:
            if self._following is not None:
                self._following.cancel()
                await asyncio.wait({self._following})

    async def _receive(self) -> bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text.encode("utf-8", "surrogatepass")

    async def _handle(self, data: bytes) -> None:
        ref: str | None = None
        try:
            limits = self._service.hub.limits
            if len(data) > limits.body:
                message = f"expected a frame of at most {limits.body} bytes, got {len(data)}"
                raise BodyTooLarge(message, limit=limits.body)
            body = await offload(len(data), body_of, data, limits)
            ref = body.get("ref", str, None)
            kind = body.get("type", str, "")
            if kind == "ping":
                await self._send(Pong(ref))
            elif kind == "cancel":
                await self._cancel(ref, body)
            elif kind == "commands":
                await self._commands(ref, body)
            else:
                message = f'expected a frame of type "commands", "cancel" or "ping", got "{kind[:60]}"'
                raise UnknownFrame(message)
        except RequestError as error:
            later = UNSET if error.retry_after is None else error.retry_after
            await self._send(ErrorFrame(ref, status_of(error), error_fields(error), later))
        if self._following is None:
            await self._socket.close(UNKNOWN)

    async def _commands(self, ref: str | None, body: RequestBody) -> None:
        hub, lost = self._service.hub, self._service.on_disconnect
        posted = await posted_of(self._scope, body, hub, self._caller, thread_id=self._thread_id, on_disconnect=lost)
        accepted = await self._service.hub.submit(posted)
        thread = accepted.thread
        if self._following is None:
            self._follow(thread)
        await asyncio.sleep(0)  # a run that begins at once does so in the next turn: what it applies is in the answer
        revision, _ = await self._service.hub.registry.snapshot(thread)
        await self._send(Ack(ref, accepted.run_id, revision, str(Cursor(thread.epoch, revision))))

    async def _cancel(self, ref: str | None, body: RequestBody) -> None:
        run_id, cancelled = await self._service.hub.cancel(
            self._thread_id,
            owner=self._caller.owner,
            run_id=body.get("runId", str, None),
            queued=body.get("queued", bool, False),
        )
        await self._send(CancelAck(ref, run_id, cancelled))

    def _follow(self, thread: Thread) -> None:
        encoder = EventsEncoder(thread.epoch, framed_as_line, heartbeat=HEARTBEAT)
        cursor = QueryParams(self._scope["query_string"]).get("cursor", "")
        subscription = followed(self._service.hub, thread, encoder, cursor)
        self._following = asyncio.ensure_future(self._send_events(subscription))

    async def _send_events(self, subscription: Subscription) -> None:
        reader = subscription.source
        clock = asyncio.get_running_loop().time
        last = -GATHER
        try:
            while not reader.finished:
                data = reader.take()
                if data:
                    subscription.hub.sent_bytes += len(data)
                    async with asyncio.timeout(PATIENCE):
                        await self._socket.send_text(data.decode())
                    last = clock()
                await reader.wait()
                wait = last + GATHER - clock()
                if wait > 0:
                    await asyncio.sleep(wait)
            await self._socket.close(STOPPING)
        except TimeoutError:
            subscription.close()  # to say so may take as long again
            await self._socket.close(STALLED)
        except (WebSocketDisconnect, RuntimeError):  # as in `run`
            pass
        finally:
            subscription.close()

    async def _send(self, frame: msgspec.Struct) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.send_text(msgspec.json.encode(frame).decode() + "\n")
