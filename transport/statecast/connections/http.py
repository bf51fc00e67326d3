"""uvicorn's HTTP protocol with bounds: on what comes before a request, on how long it takes, and on idle connections.

Rule: a refusal is written only where no response is under way; otherwise the connection is closed, and nothing is said.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from statecast.http.errors import HeaderTimeout, MalformedHttp, TooManyRequests
from statecast.http.response.statuses import headers_of, status_of
from statecast.protocol.errors import RequestError, plain_form

from .heads import Head
from .writing import FirstWrite, StallTimer

if TYPE_CHECKING:
    from .settings import ServerConfig

__all__ = ["HttpProtocol"]

#: Requests that wait behind one another on a connection: each costs a hundred times the bytes that it is sent in.
PIPELINE: Final = 16

#: Bytes of a head that are parsed at once, so that a line which does not end is noticed soon.
STEP: Final = 4_096

#: What is read, and dropped, of a client that was refused: closed at once, the connection would be reset, and many
#: clients then never see the answer.
LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 2**20


class HttpProtocol(HttpToolsProtocol):
    """A connection.

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
        self._limits = config.limits.connections
        self._sockets = config.sockets
        self._head = Head(self._limits)
        self._reading_head = False  #: whether a request has begun, and its headers are incomplete
        self._reading_body = False  #: whether its headers are complete, and its body is not
        self._dropped: int | None = None  #: bytes read since a refusal; None before one
        self._error: RequestError | None = None  #: what a callback has raised; the parser raises something else for it
        self._deadline: asyncio.TimerHandle | None = None
        self._stall_timer: StallTimer | None = None
        self._unanswered: list[RequestResponseCycle] = []  #: the response under way, and those queued behind it
        self._last = False  #: whether the connection is closed after the response under way, or to come

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Accept the connection, or refuse it."""
        super().connection_made(transport)
        self._stall_timer = StallTimer(self.loop, transport, self._limits.stall_seconds)
        try:
            self._sockets.admit(transport, self.client)
        except RequestError as error:
            self._refuse(error)
            return
        self._sockets.idle(self)
        self._expect(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds, and tell every response; uvicorn tells the last one only."""
        self._sockets.release(self.transport)
        self._release()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close the connection, which has no complete request, to make room for another."""
        self.transport.abort()

    def drain(self) -> bool:
        """Close the connection after the request that is on its way; return whether one may be.

        A client that has just connected has most likely sent one. What was idle for longer is closed at once.
        """
        self._last = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return self._reading_body
        if self.cycle is None or self._reading_head:
            return not self.transport.is_closing()
        self.transport.close()
        return False

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for too long."""
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        """Start the stall timer: the client reads more slowly than the server writes."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop the stall timer: the client has caught up."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.stop()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if self._dropped is not None:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.close()
            return
        self._unset_keepalive_if_required()
        step = len(data) if self._reading_body else STEP
        try:
            for start in range(0, len(data), step):
                piece = data[start : start + step]
                self.parser.feed_data(piece)
                self._head.fed(len(piece))
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._go_on_without_upgrade(data[start + upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(self._error or MalformedHttp(f"expected HTTP/1.1, got something else: {error}"))
            return
        except RequestError as error:
            self._refuse(error)
            return
        if self._deadline is None and not self._reading_body and (self._reading_head or self._is_idle):
            self._expect(self._limits.header_seconds)

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._head.begin()
        self._reading_head = True

    def on_url(self, url: bytes) -> None:
        """Count a piece of the target."""
        try:
            self._head.target(url)
        except RequestError as error:
            self._error = error
            raise
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header. Trailers are dropped: everything that depends on headers is decided without them."""
        try:
            self._head.header(name, value)
        except RequestError as error:
            self._error = error
            raise
        if self._reading_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response."""
        self._head.eventful = True
        self._reading_head = False
        self._reading_body = True
        self._unexpect()
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._error = MalformedHttp("expected a request to this server, got CONNECT")
                raise self._error
            return  # it is parsed once more, see `_go_on_without_upgrade`
        if len(self.pipeline) >= PIPELINE:
            message = f"expected at most {PIPELINE} requests before the first is answered, got more"
            self._error = TooManyRequests(message, limit=PIPELINE)
            raise self._error
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._unanswered.append(self.cycle)
            if self._last:
                self.cycle.keep_alive = False
            self._sockets.receiving(self)
            self.cycle.transport = FirstWrite(self.cycle, self.transport, self.loop)  # type: ignore[assignment]  # in part

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body."""
        self._head.eventful = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Finish the request."""
        self._head.eventful = True
        self._reading_body = False
        self._unexpect()
        if self.parser.should_upgrade():
            return
        if not self._is_idle:
            self._sockets.busy(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that was answered early."""
        del self._unanswered[:1]
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()
        elif self._is_idle:
            self._sockets.idle(self)
            if self._reading_body:
                self._expect(self._limits.header_seconds)

    def handle_websocket_upgrade(self) -> None:
        """Pass the connection to the WebSocket protocol."""
        self._release()
        super().handle_websocket_upgrade()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Answer in HTTP/1.1 a client that asks for another protocol, usually HTTP/2.

        The parser takes what follows such a request's head for that protocol, and would lose the body. So another one
        parses the request once more, without what asked for an upgrade.
        """
        asked = {b"upgrade", b"http2-settings", b"connection"}
        headers = [(name, value) for name, value in self.headers if name not in asked]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            headers.append((b"connection", b"close"))
        start = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        head = start + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(head + rest)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP."""
        self._refuse(MalformedHttp(msg))

    @property
    def _is_idle(self) -> bool:
        """Whether no response is in progress or queued."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    # Time

    def _expect(self, seconds: float) -> None:
        self._unexpect()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _unexpect(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._dropped is None and self._reading_head:
            seconds = self._limits.header_seconds
            message = f"expected a request's headers within {seconds:g} seconds, got a part of them"
            self._refuse(HeaderTimeout(message, limit=seconds))
        else:
            self.transport.close()
            self._watch()

    def _watch(self) -> None:
        if self._stall_timer is not None and self.transport.get_write_buffer_size():
            self._stall_timer.start()

    def _release(self) -> None:
        self._sockets.busy(self)
        self._unexpect()
        if self._stall_timer is not None:
            self._stall_timer.stop()

    # Refusals

    def _refuse(self, error: RequestError) -> None:
        if self._dropped is not None or self.transport.is_closing():
            return
        self._dropped = 0
        if not self._is_idle:
            self.transport.close()
            self._watch()
            return
        self._sockets.busy(self)
        self.transport.write(_response(error))
        if self._sockets.linger(self.transport):
            self._expect(LINGER_SECONDS)
        else:
            self.transport.close()


def _response(error: RequestError) -> bytes:
    body = msgspec.json.encode(plain_form(error).body)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "connection": "close",
        **headers_of(error),
    }
    status = HTTPStatus(status_of(error))
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
