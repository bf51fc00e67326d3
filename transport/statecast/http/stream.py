"""Streams: a reader's bytes into a response, until the run ends, the client leaves or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.types import Receive, Send

from statecast.threads import Reader

__all__ = ["send_stream"]

#: Seconds in which one stream sends once. A token that comes after a pause leaves at once; of a flood, what came in a
#: millisecond leaves in one send, which costs the socket, and everyone else on the server, a fraction of it.
GATHER: Final = 0.001


async def send_stream(
    reader: Reader,
    headers: Sequence[tuple[bytes, bytes]],
    receive: Receive,
    send: Send,
    *,
    lost: Callable[[], None] = lambda: None,
    gather: float = GATHER,
) -> None:
    """Send what a reader takes, as the body of a 200 response.

    Args:
        reader: Whose `take` is sent; the caller lets it leave its thread.
        headers: Of the response.
        receive: Tells when the client has gone, which sending alone does not.
        send: Waits while the socket is full, and nothing but this stream waits with it.
        lost: Called when the client has gone before the end.
        gather: Seconds in which it sends once at most.
    """
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    # In a task of its own a wake-up costs one step; here it would walk through every layer above this function. Waiting
    # for the disconnect ends either way: it is also what a server says once the response is complete.
    sending = asyncio.ensure_future(_send_all(reader, send, gather))
    request = asyncio.current_task()
    sending.add_done_callback(
        lambda task: task.cancelled() or task.exception() is None or (request and request.cancel())
    )
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not reader.finished:
            lost()
    finally:
        sending.cancel()
        await asyncio.wait({sending})


async def _send_all(reader: Reader, send: Send, gather: float) -> None:
    clock = asyncio.get_running_loop().time
    last = -gather
    while True:
        data = reader.take()
        if data:
            finished = reader.finished  # it may be closed while this is sent
            await send({"type": "http.response.body", "body": data, "more_body": not finished})
            if finished:
                return
            last = clock()
        elif reader.finished:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await reader.wait()
        wait = last + gather - clock()
        if wait > 0 and not reader.finished:
            await asyncio.sleep(wait)
