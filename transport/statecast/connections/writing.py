"""Writing to a client: a short response in one segment, and an end to clients that read nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["FirstWrite", "Stalls"]

#: Bytes of a body that is joined to its head; a larger one is not copied for that.
JOINED: Final = 65_536


class FirstWrite:
    """Stands in for a connection's transport until a response's head has left: with its body, if that follows at once.

    Args:
        cycle: The response; it has its transport back when this has written.
        transport: The connection's.
        loop: At whose next turn the head leaves in any case.
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
        """Write what is next."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self.flush(data)

    def flush(self, body: bytes = b"") -> None:
        """Write what is held back, and what follows it; after that, this is not used any more."""
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
        """Whether the connection is being closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, behind what was held back."""
        self.flush()
        self._transport.close()


class Stalls:
    """Cuts off a client that leaves what it is sent unread.

    Args:
        loop: The event loop.
        transport: The connection's.
        seconds: In which it must read something.
    """

    __slots__ = ("_loop", "_seconds", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Note that there is something unread."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, self._transport.get_write_buffer_size())

    def end(self) -> None:
        """Note that there is not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, before: int) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if left and left >= before:
            self._transport.abort()
        elif left:
            self.begin()
