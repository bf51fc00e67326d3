"""Streams: they send a subscription's frames until the run ends, the client disconnects, or the server stops.

A stream begins where its endpoint is, under routing and middleware, and goes on at the door of the app when they have
returned: it may stand open for hours, and they would hold their frames, and a step of every wake-up, all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from statecast.http.request.caller import EXPIRED, EXPIRES, seconds_left
from statecast.threads import Reader

from .driven import DrivenStream, is_stepped
from .subscription import Subscription

__all__ = ["GATHER", "STREAM", "Stream", "begin_stream", "expire_in", "watched"]

#: In the scope of a response that has begun: the `Stream` that is its body.
STREAM: Final = "statecast.stream"

#: Seconds between two sends of one stream, at least. A token after a pause is sent at once, and so is the end; tokens
#: that come within a millisecond share one send, which costs the socket, and the rest of the server, a fraction of one
#: each.
GATHER: Final = 0.001

#: Seconds between the last bytes of a stream that is cut off and the cut: a browser drops what it has not read by then.
LINGER: Final = 0.2


class Stream:
    """The body of a response: the frames of a subscription.

    Args:
        subscription: Closed at the end.
        first: Bytes to send before its frames, in one piece with what there is of them.
        gather: Seconds between two sends, at least.
    """

    __slots__ = ("_first", "_gather", "_hub", "_source", "_subscription", "finished", "seconds")

    def __init__(self, subscription: Subscription, *, first: bytes = b"", gather: float = GATHER) -> None:
        self.seconds: float | None = None  #: until it ends, whatever is still to come; None: no limit
        self.finished = False  #: whether `next_message` has returned the last one
        self._first = first
        self._subscription = subscription
        self._source = subscription.source
        self._hub = subscription.hub
        self._gather = gather

    @property
    def cut(self) -> bool:
        """Whether the response is to be left incomplete, because nothing else would tell its client of a failure."""
        return self._subscription.cut

    def next_message(self) -> Message | None:
        """Return the next message of the response; None if there is nothing to send yet, or the last is omitted."""
        source = self._source
        data = source.take()
        if self._first:
            data, self._first = self._first + data, b""
        self._hub.sent_bytes += len(data)
        finished = self.finished = source.finished  # it may be closed while this is sent
        if not data and not finished:
            return None
        more = finished and self.cut
        if more and not data:
            return None
        return {"type": "http.response.body", "body": data, "more_body": more or not finished}

    def close(self) -> None:
        """End before anything was sent."""
        self._subscription.close()

    async def skip(self, send: Send) -> None:
        """End without a body: the request was a HEAD."""
        self.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run(self, receive: Receive, send: Send) -> None:
        """Send the stream to its end.

        Args:
            receive: Tells when the client has gone, which sending alone does not.
            send: Waits while the socket is full, and nothing but this stream waits with it.
        """
        subscription = self._subscription
        expiry = expire_in(self.seconds, subscription.reader)
        disconnected = False
        try:
            if is_stepped(receive, send) and isinstance(self._source, Reader):
                disconnected = await DrivenStream(self, self._source, send, self._gather).run(receive)
            else:
                disconnected = await self._run_in_task(receive, send)
            if self.finished and self.cut:
                await _linger(receive)
        finally:
            if expiry is not None:
                expiry.cancel()
            subscription.close(disconnected=disconnected)

    async def _run_in_task(self, receive: Receive, send: Send) -> bool:
        """Send the stream to its end, or until the client disconnects; return whether it did before the end."""
        source, reader, gather = self._source, self._subscription.reader, self._gather
        clock = asyncio.get_running_loop().time
        due = 0.0
        with watched(reader, receive) as watch:
            while True:
                message = self.next_message()
                if message is not None:
                    await send(message)
                if self.finished:
                    return False
                if not watch.done():  # it may have been while this was sending
                    await source.wait()
                now = clock()
                if now < due:
                    await asyncio.sleep(0 if reader.over else due - now)
                    now = clock()
                due = now + gather
                if watch.done():
                    return True


async def begin_stream(scope: Scope, send: Send, headers: Sequence[tuple[bytes, bytes]], stream: Stream) -> None:
    """Begin a 200 response whose body is `stream`. It ends when the caller's credentials expire.

    Raises what `send` raises; then the stream is closed.
    """
    stream.seconds = seconds_left(scope.get(EXPIRES))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    except BaseException:
        stream.close()
        raise
    scope[STREAM] = stream


def expire_in(seconds: float | None, reader: Reader) -> asyncio.TimerHandle | None:
    """End a stream when its caller's credentials expire, which the timer says; None: they do not."""
    return None if seconds is None else asyncio.get_running_loop().call_later(seconds, reader.expire, EXPIRED)


@contextlib.contextmanager
def watched(reader: Reader, receive: Receive) -> Iterator[asyncio.Future[None]]:
    """Watch the client while a task waits for its reader, and let the reader return when it disconnects.

    Yields:
        What is done when the client has disconnected.
    """

    async def watch_client() -> None:
        await _disconnect(receive)
        reader.step()

    watch = asyncio.ensure_future(watch_client())
    try:
        yield watch
    finally:
        watch.cancel()


async def _linger(receive: Receive) -> None:
    """Leave the client the time to read the last bytes of a stream that is cut off."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            await _disconnect(receive)


async def _disconnect(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
