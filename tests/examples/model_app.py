"""A model provider as an ASGI app, for examples that find it by the environment: it answers from a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.frameworks.wires import WIRES, frame

__all__ = ["ModelApp"]

Json = Any


class ModelApp:
    """Speaks the wires of `tests/frameworks/wires.py`; each request gets the next answer.

    Args:
        script: The answers, each as deltas.
    """

    def __init__(self, *script: Sequence[tuple[Any, ...]]) -> None:
        self.requests: list[Json] = []
        self._script = [*script]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.requests.append(json.loads(await _body(receive)))
        wire = WIRES[scope["path"]]()
        body = b"".join(map(frame, wire.begin()))
        for delta in self._script.pop(0):
            body += b"".join(map(frame, wire.events(*delta)))
        body += b"".join(map(frame, wire.end()))
        headers = [(b"content-type", b"text/event-stream"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
