"""Streams: a reader's bytes into a response, until the run ends, the client leaves or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.types import Receive, Send

from statecast.threads import Reader

__all__ = ["send_stream"]


async def send_stream(
    reader: Reader,
    headers: Sequence[tuple[bytes, bytes]],
    receive: Receive,
    send: Send,
    *,
    lost: Callable[[], None] = lambda: None,
) -> None:
    """Send what a reader takes, as the body of a 200 response.

    Args:
        reader: Whose `take` is sent; the caller lets it leave its thread.
        headers: Of the response.
        receive: Tells when the client has gone, which sending alone does not.
        send: Waits while the socket is full, and nothing but this stream waits with it.
        lost: Called when the client has gone before the end.
    """
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    watch = asyncio.ensure_future(_watch(receive, reader))
    try:
        while True:
            data = reader.take()
            if data:
                last = reader.finished  # the reader may be closed while this is sent
                await send({"type": "http.response.body", "body": data, "more_body": not last})
                if last:
                    return
            elif reader.finished:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            elif watch.done():
                lost()
                return
            else:
                await reader.wait()
    finally:
        watch.cancel()


async def _watch(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.wake()
