"""uvicorn's HTTP protocol with bounds: on what comes before a request, on how long it takes, and on idle connections.

Rule: a refusal is written only where no response is under way; otherwise the connection is closed, and nothing is said.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from statecast.http.errors import HeaderTimeout, MalformedHttp, TooManyRequests
from statecast.http.response.statuses import headers_of, status_of
from statecast.protocol.errors import RequestError, plain_form

from .heads import Head
from .writing import FirstWrite, Stalls

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
    """One connection.

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
        self._stalls: Stalls | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection, or refuse it."""
        super().connection_made(transport)
        self._stalls = Stalls(self.loop, transport, self._limits.stall_seconds)
        try:
            self._sockets.admit(transport, self.client)
        except RequestError as error:
            self._refuse(error)
            return
        self._sockets.rest(self)
        self._expect(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._sockets.release(self.transport)
        self._forget()
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close: another connection needs the place, and this one has no complete request."""
        self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for long enough."""
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than it is sent to."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        super().resume_writing()
        if self._stalls is not None:
            self._stalls.end()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
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
        if self._deadline is None and not self._reading_body and (self._reading_head or self._rests):
            self._expect(self._limits.header_seconds)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._head.begin()
        self._reading_head = True

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        try:
            self._head.target(url)
        except RequestError as error:
            self._error = error
            raise
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are dropped: what is decided by headers was decided without them."""
        try:
            self._head.header(name, value)
        except RequestError as error:
            self._error = error
            raise
        if self._reading_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
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
            self._sockets.arrive(self)
            self.cycle.transport = FirstWrite(self.cycle, self.transport, self.loop)  # type: ignore[assignment]  # in part

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._head.eventful = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._head.eventful = True
        self._reading_body = False
        self._unexpect()
        if self.parser.should_upgrade():
            return
        if not self._rests:
            self._sockets.work(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that was answered before it was complete."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()
        elif self._rests:
            self._sockets.rest(self)
            if self._reading_body:
                self._expect(self._limits.header_seconds)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on."""
        self._forget()
        super().handle_websocket_upgrade()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Answer in HTTP/1.1 whoever would rather speak another protocol, HTTP/2 as a rule.

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
        """Answer what is no HTTP."""
        self._refuse(MalformedHttp(msg))

    @property
    def _rests(self) -> bool:
        """Whether no response is under way, or waits for its turn."""
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
        if self._stalls is not None and self.transport.get_write_buffer_size():
            self._stalls.begin()

    def _forget(self) -> None:
        self._sockets.work(self)
        self._unexpect()
        if self._stalls is not None:
            self._stalls.end()

    # Refusals

    def _refuse(self, error: RequestError) -> None:
        if self._dropped is not None or self.transport.is_closing():
            return
        self._dropped = 0
        if not self._rests:
            self.transport.close()
            self._watch()
            return
        self._sockets.work(self)
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
