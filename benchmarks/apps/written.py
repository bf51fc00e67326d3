"""The limit of fan-out: each frame is encoded once per protocol, and the same bytes are written to every stream.

There is no state, no log and no thread, and a stream that waits for its socket holds up all the others. At `/handed`
each stream sends in a task of its own, woken for every frame, so that it waits alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from benchmarks.apps.limit import read
from benchmarks.plan import PATH, Plan, stamp

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_FIRST = {"assistant-transport": b": \n\n", "data-stream": b"\n\n", "events": b": \n\n"}
_LAST = {
    "assistant-transport": b"data: [DONE]\n\n",
    "data-stream": b"",
    "events": b'id: 0123456789ab-1\ndata: {"type":"run","revision":1,"run":{"id":"run_0","status":"completed"}}\n\n',
}

_encode = msgspec.json.encode


class _Body(msgspec.Struct):
    commands: list[dict] = []
    protocol: str = "events"


class _Everyone:
    """Those that follow."""

    def __init__(self) -> None:
        self.frames = dict(_FIRST)
        self.place = 0
        self.over = False
        self.direct: list[tuple[str, Any, asyncio.Event]] = []
        self.waiting: list[asyncio.Future[None]] = []

    def show(self, frames: dict[str, bytes]) -> None:
        self.frames = frames
        self.place += 1
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


_everyone = _Everyone()
_plan = Plan(kind="nothing")


async def app(scope: Any, receive: Any, send: Any) -> None:
    global _everyone, _plan
    if scope["type"] != "http":
        return
    body = msgspec.json.decode(await read(receive) or b"{}", type=_Body)
    command = body.commands[0] if body.commands else {}
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    if command.get("type") == "go":
        asyncio.get_running_loop().create_task(_produce(_everyone, _plan))
        await send({"type": "http.response.body", "body": _LAST["assistant-transport"]})
        return
    if command.get("type") == "hold":
        _plan, _everyone = msgspec.convert(command, Plan), _Everyone()
    await send(_piece(_FIRST[body.protocol]))
    if scope["query_string"] == b"handed":
        await _follow(_everyone, body.protocol, send)
    else:
        over = asyncio.Event()
        _everyone.direct.append((body.protocol, send, over))
        await over.wait()
    while body.protocol == "events" and (await receive())["type"] != "http.disconnect":
        pass


def _piece(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _frames(revision: int, text: str) -> dict[str, bytes]:
    operations = _encode([{"type": "append-text", "path": PATH, "value": text}])
    return {
        "assistant-transport": b'data: {"type":"update-state","path":[],"operations":%b}\n\n' % operations,
        "data-stream": b"aui-state:%b\n" % operations,
        "events": b'id: 0123456789ab-%d\ndata: {"type":"update-state","revision":%d,"operations":%b}\n\n'
        % (revision, revision, operations),
    }


async def _produce(everyone: _Everyone, plan: Plan) -> None:
    for index in range(plan.count):
        frames = _frames(index, stamp())
        everyone.show(frames)
        for protocol, send, _ in everyone.direct:
            await send(_piece(frames[protocol]))
        await asyncio.sleep(plan.pause)
    everyone.over = True
    everyone.show(_LAST)
    for protocol, send, over in everyone.direct:
        await send(_piece(_LAST[protocol], protocol == "events"))
        over.set()


async def _follow(everyone: _Everyone, protocol: str, send: Any) -> None:
    loop = asyncio.get_running_loop()
    place = 0
    while True:
        if place == everyone.place:
            future = loop.create_future()
            everyone.waiting.append(future)
            await future
        place = everyone.place
        over = everyone.over
        await send(_piece(everyone.frames[protocol], protocol == "events" or not over))
        if over:
            return
