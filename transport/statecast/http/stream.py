"""Streams: a reader's bytes into a response, until the run ends, the client leaves or the server stops.

A stream begins where its endpoint is, under routing and middleware, and goes on at the door of the app when they have
returned: it may stand open for hours, and they would hold their frames, and a step of every wake-up, all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.types import Receive, Scope, Send

from statecast.threads import Reader

__all__ = ["GATHER", "STREAM", "Stream", "begin_stream"]

#: In the scope of a response that has begun: the `Stream` that is its body.
STREAM: Final = "statecast.stream"

#: Seconds in which one stream sends once. A token that comes after a pause leaves at once; of a flood, what came in a
#: millisecond leaves in one send, which costs the socket, and everyone else on the server, a fraction of it.
GATHER: Final = 0.001


class Stream:
    """The body of a response: what a reader takes.

    Args:
        reader: Whose `take` is sent.
        closed: Called at the end, with whether the client left before it.
        first: What was taken already.
        gather: Seconds in which it sends once at most.
    """

    __slots__ = ("_closed", "_first", "_gather", "_reader")

    def __init__(
        self, reader: Reader, closed: Callable[[bool], None], *, first: bytes = b"", gather: float = GATHER
    ) -> None:
        self._first = first
        self._reader = reader
        self._closed = closed
        self._gather = gather

    async def run(self, receive: Receive, send: Send) -> None:
        """Send until the end.

        Args:
            receive: Tells when the client has gone, which sending alone does not.
            send: Waits while the socket is full, and nothing but this stream waits with it.
        """
        reader, gather = self._reader, self._gather
        watch = asyncio.ensure_future(_watch(receive, reader))
        clock = asyncio.get_running_loop().time
        last = -gather
        left = False
        try:
            while not left:
                data = self._first or reader.take()
                if data:
                    self._first = b""
                    finished = reader.finished  # it may be closed while this is sent
                    await send({"type": "http.response.body", "body": data, "more_body": not finished})
                    if finished:
                        return
                    last = clock()
                elif reader.finished:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                if not watch.done():  # it may have been while this was sending
                    await reader.wait()
                wait = last + gather - clock()
                if wait > 0 and not reader.finished:
                    await asyncio.sleep(wait)
                left = watch.done()
        finally:
            watch.cancel()
            self._closed(left)


async def begin_stream(scope: Scope, send: Send, headers: Sequence[tuple[bytes, bytes]], stream: Stream) -> None:
    """Begin a 200 response whose body is `stream`."""
    scope[STREAM] = stream
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})


async def _watch(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.wake()
