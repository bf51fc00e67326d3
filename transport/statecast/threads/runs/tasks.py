"""Tasks of a run: its handlers, and the tasks that the agent starts in them. The run ends when all have ended.

Every exception is caught here: `SystemExit` or `KeyboardInterrupt` would end the event loop, and with it the server.

Cancelling is asyncio's: each task is cancelled once, so that what it awaits while it cleans up is not cut off. Tasks
that have not ended when their time is up are cancelled again and again, and then left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, TypeVarTuple

__all__ = ["Tasks"]

#: Seconds between two cancellations of a task that does not end, and how many there are before it is left behind.
AGAIN: Final = 0.01
TIMES: Final = 100

_Args = TypeVarTuple("_Args")

#: What was left behind, as long as it goes on: the event loop alone would not hold it.
_abandoned: Final[set[asyncio.Task[None]]] = set()


class Tasks:
    """The tasks of one run.

    Args:
        ended: Called once, when all have ended, or what has not is left behind.
        patience: Seconds that they get to end after they were cancelled.
    """

    __slots__ = (
        "_ended",
        "_loop",
        "_running",
        "_timer",
        "_times",
        "abandoned",
        "cancelled",
        "failures",
        "over",
        "patience",
    )

    def __init__(self, ended: Callable[[], None], *, patience: float) -> None:
        self.cancelled = False  #: whether they were asked to end
        self.failures: list[BaseException] = []  #: what they raised, except because they were cancelled
        self.abandoned = False  #: whether some go on, though they were asked to end
        self.over = False
        self.patience = patience
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._times = 0

    def start_soon(
        self,
        function: Callable[[*_Args], Coroutine[Any, Any, Any]],
        *args: *_Args,
        context: Context | None = None,
    ) -> None:
        """Start a task, in the caller's context or in another."""
        task = self._loop.create_task(self._contain(function, *args), context=context)
        self._running.add(task)
        task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancel each task once, and insist after `patience` seconds."""
        if not self.cancelled:
            self.cancelled = True
            self._cancel_each()
            self.insist(self.patience)

    def insist(self, after: float) -> None:
        """After a delay, cancel unfinished tasks repeatedly, and at last abandon them."""
        if self._timer is not None:
            self._timer.cancel()
        if self._running and not self._loop.is_closed():
            self._timer = self._loop.call_later(after, self._insist)

    def _insist(self) -> None:
        self._times += 1
        if self._times > TIMES:
            self.abandoned = True
            _abandoned.update(self._running)
            self._end()
        else:
            self._cancel_each()
            self.insist(AGAIN)

    def _cancel_each(self) -> None:
        for task in list(self._running):
            task.cancel()

    async def _contain(self, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args) -> None:
        try:
            await function(*args)
        except BaseException as failure:  # whatever an agent raises is a failed run, never a failed server
            if not self.over and not (self.cancelled and isinstance(failure, asyncio.CancelledError)):
                self.failures.append(failure)
                if not self._loop.is_closed():
                    self._running.discard(asyncio.current_task())
                    self.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        _abandoned.discard(task)
        if not self._running:
            self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            if self._timer is not None:
                self._timer.cancel()
            self._ended()
