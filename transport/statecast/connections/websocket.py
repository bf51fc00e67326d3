"""uvicorn's WebSocket protocol with bounds: on messages that arrive, on what is inflated, on answers to pings."""

from __future__ import annotations

import asyncio
import dataclasses
import zlib
from typing import TYPE_CHECKING, Any, Final

from uvicorn._types import WebSocketEvent
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState
from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol
from wsproto.utilities import LocalProtocolError

from statecast.http.request.addresses import public_address
from statecast.http.request.in_flight import BodyInFlight
from statecast.protocol.errors import RequestError

from .writing import StallTimer

if TYPE_CHECKING:
    from .settings import ServerConfig

__all__ = ["SocketProtocol"]

TOO_SLOW: Final = 1008  #: a message has not arrived in time
FULL: Final = 1013  #: too many messages arrive at once; try again later


class SocketProtocol(WSProtocol):
    """A WebSocket.

    Args:
        config: The server's.
        server_state: Likewise.
        app_state: Likewise.
    """

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if config.ws_per_message_deflate:
            self.conn = _Inflating(config.ws_max_size)
        self._sockets = config.sockets
        self._bodies = config.bodies
        self._seconds = config.limits.body_seconds
        self._stall_seconds = config.limits.connections.stall_seconds
        self._stall_timer: StallTimer | None = None
        self._arriving: BodyInFlight | None = None  #: the message of which a part has come
        self._complete: list[BodyInFlight] = []  #: those that the app has not dealt with yet
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take over the connection of an upgrade request."""
        super().connection_made(transport)
        self._stall_timer = StallTimer(self.loop, transport, self._stall_seconds)

    def pause_writing(self) -> None:
        """Start the stall timer: the client reads more slowly than the server writes."""
        super().pause_writing()
        if self._stall_timer is not None:
            self._stall_timer.start()

    def resume_writing(self) -> None:
        """Stop the stall timer: the client has caught up."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds."""
        if self._stall_timer is not None:
            self._stall_timer.stop()
        self._sockets.release(self.transport)
        self._end_message()
        self._release()
        super().connection_lost(exc)

    def handle_message(self, event: events.TextMessage | events.BytesMessage) -> None:
        """Receive a message or a part of one."""
        if self._arriving is None:
            self._arriving = self._bodies.arrive(public_address(self.client), self._make_room)
        arriving = self._arriving
        super().handle_message(event)
        if self.close_sent:  # it was too large
            self._end_message()
            return
        try:
            arriving.grow(len(event.data))  # of a text its characters: about what it holds in memory
        except RequestError as error:
            self._close(FULL, error.code)
            return
        if event.message_finished:
            arriving.complete()
            self._complete.append(arriving)
            self._arriving = None
            self._end_message()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._seconds, self._too_slow)

    def handle_close(self, event: events.CloseConnection) -> None:
        """Handle a close of the client's, or close a connection that breaks the protocol."""
        if self.conn.state is ConnectionState.OPEN:
            self._close(int(event.code), (event.reason or "")[:100])
        else:
            super().handle_close(event)

    def handle_ping(self, event: events.Ping) -> None:
        """Answer a ping, unless the client does not read the answers."""
        if self.writable.is_set():
            super().handle_ping(event)

    async def receive(self) -> WebSocketEvent:
        """Return the next event; the app is done with the last one."""
        if self.queue.empty():
            self._release()
        return await super().receive()

    def _make_room(self) -> None:
        self._close(FULL, "try again later")

    def _too_slow(self) -> None:
        self._deadline = None
        self._close(TOO_SLOW, f"expected the whole message within {self._seconds:g} seconds")

    def _close(self, code: int, reason: str) -> None:
        """Close the connection without reading what else the client sends."""
        self._end_message()
        if self.close_sent or self.transport.is_closing():
            return
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        try:
            self.transport.write(self.conn.send(events.CloseConnection(code=code, reason=reason)))
        except LocalProtocolError:
            pass  # the client has closed already
        self.transport.close()

    def _end_message(self) -> None:
        """Drop the incomplete message and its deadline."""
        if self._arriving is not None:
            self._arriving.release()
            self._arriving = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _release(self) -> None:
        for arriving in self._complete:
            arriving.release()
        self._complete.clear()


class _Inflating(WSConnection):
    """A connection that inflates compressed messages up to a limit.

    Args:
        limit: Bytes that one read may be inflated to.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(ConnectionType.SERVER)
        self._limit = limit

    def send(self, event: events.Event) -> bytes:
        """Return the bytes of an event."""
        if isinstance(event, events.AcceptConnection):
            event = dataclasses.replace(event, extensions=[_Inflate(self._limit)])
        return super().send(event)


class _Inflate(PerMessageDeflate):
    """wsproto's compression with a limit; its own inflates anything, all at once.

    Args:
        limit: As for `_Inflating`.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Return a piece of a frame, inflated."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        assert self._decompressor is not None
        try:
            inflated = self._decompressor.decompress(bytes(data), self._limit + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return CloseReason.MESSAGE_TOO_BIG if len(inflated) > self._limit else inflated
