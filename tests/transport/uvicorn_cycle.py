"""uvicorn's side of one request, without a socket: what an app writes is collected, and the client can stop reading."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["Cycle"]

_logger: Final = logging.getLogger("tests.uvicorn")


class Cycle:
    """A request whose body has been read, and the response to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.error: Exception | None = None  #: what the socket raises
        self._flow = FlowControl(cast("asyncio.Transport", self))
        self._cycle = RequestResponseCycle(
            scope={"type": "http", "method": "POST", "path": "/", "headers": []},  # type: ignore[typeddict-item]
            transport=cast("asyncio.Transport", self),
            flow=self._flow,
            logger=_logger,
            access_logger=_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=lambda: None,
        )
        self._cycle.more_body = False
        self.receive: Any = self._cycle.receive
        self.send: Any = self._cycle.send

    async def begin(self) -> None:
        """Send the head."""
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        self.written.clear()

    @property
    def body(self) -> bytes:
        """What was written of the body, without the chunks' sizes."""
        return b"".join(piece.partition(b"\r\n")[2].removesuffix(b"\r\n") for piece in self.written)

    @property
    def complete(self) -> bool:
        """Whether the response is."""
        return self._cycle.response_complete

    def fill(self) -> None:
        """Have the client read nothing, so that the socket is full."""
        self._flow.pause_writing()

    def drain(self) -> None:
        """Have the client read on."""
        self._flow.resume_writing()

    def disconnect(self) -> None:
        """Lose the client."""
        self._cycle.disconnected = True
        self._cycle.message_event.set()
        self._flow.resume_writing()

    # What the cycle asks of its transport

    def write(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
