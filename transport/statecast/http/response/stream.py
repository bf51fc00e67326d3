"""Streams: a reader's bytes into a response, until the run ends, the client leaves or the server stops.

A stream begins where its endpoint is, under routing and middleware, and goes on at the door of the app when they have
returned: it may stand open for hours, and they would hold their frames, and a step of every wake-up, all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from statecast.http.request.caller import EXPIRED, EXPIRES, seconds_left
from statecast.protocol import RunError

__all__ = ["GATHER", "STREAM", "Stream", "begin_stream", "watch_client"]

#: In the scope of a response that has begun: the `Stream` that is its body.
STREAM: Final = "statecast.stream"

#: Seconds in which one stream sends once. A token that comes after a pause leaves at once; of a flood, what came in a
#: millisecond leaves in one send, which costs the socket, and everyone else on the server, a fraction of it.
GATHER: Final = 0.001

#: Seconds between the last bytes of a stream that is cut off and the cut: a browser drops what it has not read by then.
LINGER: Final = 0.2


class Read(Protocol):
    """What a stream reads, as `Reader` says."""

    @property
    def finished(self) -> bool: ...

    def take(self) -> bytes: ...

    async def wait(self) -> None: ...

    def expire(self, error: RunError) -> None: ...

    def wake(self) -> None: ...


class Stream:
    """The body of a response: what a reader takes.

    Args:
        reader: Whose `take` is sent.
        closed: Called at the end, with whether the client left before it.
        first: What was taken already.
        gather: Seconds in which it sends once at most.
        cut: Asked at the end: whether the response is to be left incomplete, so that the server closes the connection.
    """

    __slots__ = ("_closed", "_cut", "_first", "_gather", "_reader", "seconds")

    def __init__(
        self,
        reader: Read,
        closed: Callable[[bool], None],
        *,
        first: bytes = b"",
        gather: float = GATHER,
        cut: Callable[[], bool] = lambda: False,
    ) -> None:
        self.seconds: float | None = None  #: after which it ends, whatever is still to come
        self._cut = cut
        self._first = first
        self._reader = reader
        self._closed = closed
        self._gather = gather

    async def skip(self, send: Send) -> None:
        """End at once: the request was a HEAD, which the response's headers answer."""
        self._closed(False)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run(self, receive: Receive, send: Send) -> None:
        """Send until the end.

        Args:
            receive: Tells when the client has gone, which sending alone does not.
            send: Waits while the socket is full, and nothing but this stream waits with it.
        """
        reader, gather = self._reader, self._gather
        loop = asyncio.get_running_loop()
        watch = asyncio.ensure_future(watch_client(receive, reader))
        over = None if self.seconds is None else loop.call_later(self.seconds, reader.expire, EXPIRED)
        clock = loop.time
        due = 0.0
        left = False
        try:
            while not left:
                data = self._first or reader.take()
                finished = reader.finished  # it may be closed while this is sent
                if data or finished:
                    self._first = b""
                    cut = finished and self._cut()
                    if data or not cut:
                        await send({"type": "http.response.body", "body": data, "more_body": cut or not finished})
                    if cut:
                        await asyncio.wait({watch}, timeout=LINGER)
                    if finished:
                        return
                if not watch.done():  # it may have been while this was sending
                    await reader.wait()
                now = clock()
                if now < due:
                    await asyncio.sleep(due - now)
                    now = clock()
                due = now + gather
                left = watch.done()
        finally:
            watch.cancel()
            if over is not None:
                over.cancel()
            self._closed(left)


async def begin_stream(scope: Scope, send: Send, headers: Sequence[tuple[bytes, bytes]], stream: Stream) -> None:
    """Begin a 200 response whose body is `stream`. It ends when its caller is known no longer."""
    scope[STREAM] = stream
    stream.seconds = seconds_left(scope.get(EXPIRES))
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})


async def watch_client(receive: Receive, reader: Read) -> None:
    """Return when the client has gone, and wake the reader."""
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.wake()
