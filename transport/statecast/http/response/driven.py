"""Driven streams: the log steps them, and a frame reaches the socket without a task, a future or a wake-up of its own.

A server's `send` waits only while the socket is full. So its coroutine is stepped by hand, which nearly always ends it;
where it does wait, a task takes it over, and the stream is busy until then. What waits for the client to disconnect is
the request's own task.

Only the `send` of uvicorn itself is stepped: nothing in it asks which task it runs in. What another server or a
middleware puts in its place may: a timeout of asyncio does, and a lock or a cancel scope of anyio. It is awaited in a
task.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, Final, Protocol

from starlette.types import Message, Receive, Send

from statecast.threads import Reader

__all__ = ["DrivenStream", "is_stepped"]

#: The class of what answers a request in uvicorn, whichever parser it uses; `receive` and `send` are its methods.
CYCLE: Final = "RequestResponseCycle"


def is_stepped(receive: Receive, send: Send) -> bool:
    """Return whether a request's `send` may be stepped by hand: it is uvicorn's own, and nothing is in between."""
    cycle = getattr(send, "__self__", None)
    kind = type(cycle)
    is_uvicorns = kind.__name__ == CYCLE and kind.__module__.startswith("uvicorn.")
    return is_uvicorns and getattr(receive, "__self__", None) is cycle


class Messages(Protocol):
    """What a stream has to send."""

    @property
    def finished(self) -> bool:
        """Whether `next_message` has returned the last one."""

    @property
    def cut(self) -> bool:
        """Whether the response is to be left incomplete after that."""

    def next_message(self) -> Message | None:
        """Return the next message; None if there is nothing to send yet."""


class DrivenStream:
    """Sends a reader's frames when the log steps it.

    Args:
        messages: What to send.
        reader: Where it comes from.
        send: See `is_stepped`.
        gather: Seconds between two sends, at least; the last one does not wait.
    """

    __slots__ = (
        "_busy",
        "_context",
        "_due",
        "_failure",
        "_gather",
        "_interrupt",
        "_loop",
        "_messages",
        "_reader",
        "_send",
        "_task",
        "_timer",
    )

    def __init__(self, messages: Messages, reader: Reader, send: Send, gather: float) -> None:
        self._messages = messages
        self._reader = reader
        self._send: Callable[[Message], Coroutine[Any, Any, None]] = send  # type: ignore[assignment]  # uvicorn's
        self._gather = gather
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._interrupt = asyncio.timeout(None)  #: ends `run` early
        self._due = 0.0  #: when it may send again
        self._busy = False  #: whether it goes on by itself: it sends, or waits for its time, a socket or a slow frame
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def run(self, receive: Receive) -> bool:
        """Send the stream to its end, or until the client disconnects; return whether it did before the end.

        Raises what `send` raises, and what the encoder does.
        """
        try:
            self._reader.driver = self
            async with self._interrupt:
                self.step()
                while (await receive())["type"] != "http.disconnect":
                    pass
            return not self._messages.finished
        except TimeoutError:
            if not self._interrupt.expired():
                raise
            if self._failure is not None:
                raise self._failure from None
            return False
        finally:
            await self._stop()

    async def _stop(self) -> None:
        self._reader.driver = None
        self._busy = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def step(self) -> None:
        """Send what there is; soon, if it has just sent something, or has to wait for a full socket."""
        if self._timer is not None and self._reader.over:
            self._timer.cancel()
            self._timer, self._busy = None, False
        if self._busy:
            return
        now = self._loop.time()
        if now < self._due and not self._reader.over:
            self._go_on_when_due()
            return
        self._busy = True
        try:
            message = self._messages.next_message()
            if message is None:
                self._pause()
                return
            self._due = now + self._gather
            sending = self._send(message)
            try:
                waits_for = self._context.run(sending.send, None)
            except StopIteration:
                self._sent()
            else:
                self._take_over(_rest(sending, waits_for))
        except (Exception, asyncio.CancelledError) as error:  # whatever it is, it is this stream's own
            self._fail(error)

    def _go_on_when_due(self) -> None:
        self._busy = True
        self._timer = self._loop.call_at(self._due, self._go_on)

    def _go_on(self) -> None:
        self._timer, self._busy = None, False
        self._due = 0.0  # a timer may come a little early
        self.step()

    def _pause(self) -> None:
        if self._messages.finished:
            self._interrupt_run()
        elif self._reader.is_slow:
            self._take_over(self._reader.wait())
        else:
            self._busy = False

    def _sent(self) -> None:
        if self._messages.finished:
            if self._messages.cut:
                self._interrupt_run()
        elif self._reader.behind:
            self._go_on_when_due()
        else:
            self._busy = False

    def _take_over(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._loop.create_task(work, context=self._context)
        self._task.add_done_callback(self._taken_over)

    def _taken_over(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if self._reader.driver is not self or task.cancelled():
            return  # `run` ends
        error = task.exception()
        if error is not None:
            self._fail(error)
        elif self._messages.finished:
            self._sent()
        else:
            self._go_on()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._interrupt_run()

    def _interrupt_run(self) -> None:
        """End `run`, which waits for the client: a server notices no other end than a response's last message."""
        self._interrupt.reschedule(self._loop.time())


async def _rest(sending: Coroutine[Any, Any, None], waits_for: Any) -> None:
    """Run the rest of a coroutine that was stepped once, and waits for something."""
    await _resumed(sending, waits_for)


@types.coroutine
def _resumed(sending: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    yield waits_for
    yield from sending
