"""Workers: the threads that run plain functions of agents. Files have other threads, so neither waits for the other.

Their number is limited. A slot is free again only when its function has returned, even if nobody waits for it any more:
a thread cannot be stopped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread

__all__ = ["IN_THREAD", "WorkerCalls", "Workers"]

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

#: Seconds that a function gets to return, when the time of its run is over, or the server stops.
IN_THREAD: Final = 1.0

#: Calls that nobody waits for any more. The event loop has weak references only, so these keep their tasks alive.
_abandoned: Final[set[asyncio.Task[Any]]] = set()


class Workers:
    """Worker threads.

    Args:
        limit: How many there are at a time.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._threads = anyio.CapacityLimiter(math.inf)  # it would free a slot whose function still runs

    def acquire_nowait(self) -> bool:
        """Take a slot if one is free; `call` or `release` frees it."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def acquire(self) -> None:
        """Wait for a slot, first come first served, and take it."""
        if self.acquire_nowait():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came with the cancellation
                self.release()
            raise

    def release(self) -> None:
        """Release a slot to the longest waiter, or make it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def call(self, function: Callable[[*_Args], _T], *args: *_Args) -> _T:
        """Call a function in a thread, in a slot that was taken, and return its result.

        When cancelled, this still waits for the function, which may notice that its run is cancelled. When cancelled
        again, it abandons the thread.

        Raises:
            BaseException: Whatever the function raises.
        """
        scope = anyio.CancelScope()
        call = asyncio.ensure_future(self._call(scope, function, *args))
        _abandoned.add(call)
        call.add_done_callback(_abandoned.discard)
        try:
            await asyncio.shield(call)
        except asyncio.CancelledError:
            scope.cancel()  # for what it waits for on the event loop
            await asyncio.wait([call])
            raise
        result, failure = call.result()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback holds this frame
        return result  # type: ignore[return-value]  # there is one if nothing was raised

    async def _call(
        self, scope: anyio.CancelScope, function: Callable[[*_Args], _T], *args: *_Args
    ) -> tuple[_T | None, BaseException | None]:
        def called() -> tuple[_T | None, BaseException | None]:
            try:
                return function(*args), None
            except BaseException as failure:  # raised again where it is waited for: a task must not end with some
                return None, failure

        try:
            with scope:
                return await to_thread.run_sync(called, limiter=self._threads)
            return None, asyncio.CancelledError()  # it was cancelled before it began
        finally:
            self.release()


class WorkerCalls:
    """The calls of one run, or of one hook, in worker threads.

    Args:
        workers: The threads.
    """

    __slots__ = ("_reserved", "_workers", "busy")

    def __init__(self, workers: Workers) -> None:
        self.busy = 0  #: how many are in a thread
        self._workers = workers
        self._reserved = False  #: whether a slot is reserved for the next call

    async def reserve(self) -> None:
        """Wait for a slot, and reserve it for the next call."""
        await self._workers.acquire()
        self._reserved = True

    def cancel_reservation(self) -> None:
        """Release the reserved slot, if there is one."""
        if self._reserved:
            self._reserved = False
            self._workers.release()

    def acquire_nowait(self) -> bool:
        """Take a slot, if one is reserved or free."""
        reserved, self._reserved = self._reserved, False
        return reserved or self._workers.acquire_nowait()

    async def acquire(self) -> None:
        """Wait for a slot, and take it."""
        await self._workers.acquire()

    async def call(self, function: Callable[[*_Args], _T], *args: *_Args) -> _T:
        """Call a function in a slot that was taken, as `Workers.call`."""
        self.busy += 1
        try:
            return await self._workers.call(function, *args)
        finally:
            self.busy -= 1
