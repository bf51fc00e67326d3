"""A model provider as an ASGI app, for examples that find it by the environment: it answers from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from tests.frameworks.wires import WIRES, frame

__all__ = ["ModelApp"]

Json = Any


class ModelApp:
    """Speaks the wires of `tests/frameworks/wires.py`; each request gets the next answer.

    Args:
        script: The answers, each as deltas. `("refuse", status)` alone is no answer, and at `("hang",)` one waits until
            its client has left.
    """

    def __init__(self, *script: Sequence[tuple[Any, ...]]) -> None:
        self.requests: list[Json] = []
        self.left = threading.Event()  #: an answer that hung was waited for no longer
        self._script = [*script]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.requests.append(json.loads(await _body(receive)))
        wire, script = WIRES[scope["path"]](), self._script.pop(0)
        if script[0][0] == "refuse":
            await send({"type": "http.response.start", "status": script[0][1], "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        headers = [(b"content-type", b"text/event-stream"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _stream(send, wire.begin())
        for delta in script:
            if delta[0] == "hang":
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                return
            await _stream(send, wire.events(*delta))
        await _stream(send, wire.end())
        await send({"type": "http.response.body"})


async def _stream(send: Any, events: Iterable[Json]) -> None:
    for event in events:
        await send({"type": "http.response.body", "body": frame(event), "more_body": True})


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
