"""The limit over a socket: a producer task hands frames on to be sent, and a watcher waits for the client to leave.

There is no state, no log and no tracking.

The producer is to the response what an agent is to its stream: it does not wait for the socket. At `/direct` it awaits
`send` itself instead, so that the one task is producer and stream at once; no server whose agents outlive their
connections can be built so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.plan import ANSWER, PATH, Plan, read_plan, stamp, ticks, token

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]

_DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode


def frame(value: str) -> bytes:
    operation = {"type": "append-text", "path": PATH, "value": value}
    return b"data: " + _encode({"type": "update-state", "path": [], "operations": [operation]}) + b"\n\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = await read(receive)
    if scope["path"] == "/undecoded":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _DONE})
        return
    plan = read_plan(body)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    if scope["path"] == "/direct":
        producer = asyncio.create_task(_produce(plan, lambda data: send(_piece(data))))
        sender = producer
    else:
        frames: asyncio.Queue[bytes] = asyncio.Queue()
        producer = asyncio.create_task(_produce(plan, _putting(frames)))
        sender = asyncio.create_task(_send(frames, send))
    watcher = asyncio.create_task(_watch(receive))
    await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
    for task in (producer, sender, watcher):
        task.cancel()


def _piece(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": data is not _DONE}


def _putting(frames: asyncio.Queue[bytes]) -> Callable[[bytes], Awaitable[None]]:
    put_nowait = frames.put_nowait

    async def put(data: bytes) -> None:
        put_nowait(data)

    return put


async def _send(frames: asyncio.Queue[bytes], send: Any) -> None:
    while True:
        data = await frames.get()
        await send(_piece(data))
        if data is _DONE:
            return


async def read(receive: Any) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _produce(plan: Plan, hand: Callable[[bytes], Awaitable[None]]) -> None:
    match plan.kind:
        case "tokens":
            for index in range(plan.count):
                await hand(frame(token(index)))
                if index % plan.burst == plan.burst - 1:
                    for _ in range(plan.turns):
                        await asyncio.sleep(0)
        case "paced":
            async for _ in ticks(plan):
                await hand(frame(stamp()))
        case "answer":
            await hand(frame(ANSWER))
        case "wait":
            await asyncio.Event().wait()
    await hand(_DONE)


async def _watch(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
