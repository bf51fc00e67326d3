"""Streams: they send a subscription's frames until the run ends, the client disconnects, or the server stops.

A stream begins where its endpoint is, under routing and middleware, and goes on at the door of the app when they have
returned: it may stand open for hours, and they would hold their frames, and a step of every wake-up, all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.types import Receive, Scope, Send

from statecast.http.request.caller import EXPIRED, EXPIRES, seconds_left

from .subscription import Subscription

__all__ = ["GATHER", "STREAM", "Stream", "begin_stream", "watched"]

#: In the scope of a response that has begun: the `Stream` that is its body.
STREAM: Final = "statecast.stream"

#: Seconds between two sends of one stream, at least. A token after a pause is sent at once; tokens that come within a
#: millisecond share one send, which costs the socket, and the rest of the server, a fraction of one each.
GATHER: Final = 0.001

#: Seconds between the last bytes of a stream that is cut off and the cut: a browser drops what it has not read by then.
LINGER: Final = 0.2


class Stream:
    """The body of a response: the frames of a subscription.

    Args:
        subscription: Closed at the end.
        first: Bytes to send before its frames.
        gather: Seconds between two sends, at least.
    """

    __slots__ = ("_first", "_gather", "_subscription", "seconds")

    def __init__(self, subscription: Subscription, *, first: bytes = b"", gather: float = GATHER) -> None:
        self.seconds: float | None = None  #: until it ends, whatever is still to come; None: no limit
        self._first = first
        self._subscription = subscription
        self._gather = gather

    async def skip(self, send: Send) -> None:
        """End without a body: the request was a HEAD."""
        self._subscription.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run(self, receive: Receive, send: Send) -> None:
        """Send the stream to its end.

        Args:
            receive: Tells when the client has gone, which sending alone does not.
            send: Waits while the socket is full, and nothing but this stream waits with it.
        """
        subscription, gather = self._subscription, self._gather
        reader = subscription.source
        clock = asyncio.get_running_loop().time
        due = 0.0
        disconnected = False
        try:
            with watched(subscription, receive, self.seconds) as watch:
                while not disconnected:
                    data = self._first or reader.take()
                    finished = reader.finished  # it may be closed while this is sent
                    if data or finished:
                        self._first = b""
                        cut = finished and subscription.cut
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
                    disconnected = watch.done()
        finally:
            subscription.close(disconnected=disconnected)


async def begin_stream(scope: Scope, send: Send, headers: Sequence[tuple[bytes, bytes]], stream: Stream) -> None:
    """Begin a 200 response whose body is `stream`. It ends when the caller's credentials expire."""
    scope[STREAM] = stream
    stream.seconds = seconds_left(scope.get(EXPIRES))
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})


@contextlib.contextmanager
def watched(subscription: Subscription, receive: Receive, seconds: float | None) -> Iterator[asyncio.Future[None]]:
    """While a subscription is read, wake its reader when the client goes, and end it when the credentials expire.

    Args:
        subscription: What is read.
        receive: The request's.
        seconds: Until the credentials of its caller expire; None: they do not.

    Yields:
        What is done when the client has gone.
    """
    reader = subscription.reader

    async def watch_client() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        reader.wake()

    watch = asyncio.ensure_future(watch_client())
    expiry = None if seconds is None else asyncio.get_running_loop().call_later(seconds, reader.expire, EXPIRED)
    try:
        yield watch
    finally:
        watch.cancel()
        if expiry is not None:
            expiry.cancel()
