"""Writing to clients: short responses in one segment, and a timeout for clients that do not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["FirstWrite", "StallTimer"]

#: Bytes of a body that is joined to its head; a larger one is not copied for that.
JOINED: Final = 65_536


class FirstWrite:
    """Replaces the transport of a response until its head is written: with the body, if that follows at once.

    Args:
        cycle: The response; it gets its transport back after the first write.
        transport: The connection's.
        loop: The event loop, at whose next turn the head is written in any case.
    """

    __slots__ = ("_cycle", "_head", "_loop", "_transport")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle = cycle
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write data."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self.flush(data)

    def flush(self, body: bytes = b"") -> None:
        """Write the head and what follows it, and give the transport back."""
        head, self._head = self._head, b""
        if self._cycle.transport is not self:  # type: ignore[comparison-overlap]  # it stands in for one
            return
        self._cycle.transport = self._transport
        if self._transport.is_closing():
            return
        if head and len(body) <= JOINED:
            self._transport.write(head + body)
        else:
            self._transport.write(head or b"")
            self._transport.write(body)

    def is_closing(self) -> bool:
        """Return whether the connection is being closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Write the head, and close the connection."""
        self.flush()
        self._transport.close()


class StallTimer:
    """Aborts the connection of a client that has stopped reading.

    Args:
        loop: The event loop.
        transport: The connection's.
        seconds: Within which the client must read something.
    """

    __slots__ = ("_loop", "_seconds", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer, unless it runs: something is unread."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, self._transport.get_write_buffer_size())

    def stop(self) -> None:
        """Stop the timer: everything was read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, before: int) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if left and left >= before:
            self._transport.abort()
        elif left:
            self.start()
