"""Hook calls: each counts as a run, has a run's time limit, and is stopped like a run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from statecast_agents import Agent

from .exit_guard import within_agent
from .failures import raised_one
from .tasks import Tasks
from .workers import IN_THREAD, WorkerCalls, Workers

__all__ = ["HookCalls", "HookFailed", "InThread"]

_T = TypeVar("_T")

#: Calls a plain function in a worker thread.
InThread = Callable[..., Awaitable[Any]]

#: Pieces that are made before they are asked for.
AHEAD: Final = 16

_log: Final = logging.getLogger("statecast")


class HookFailed(Exception):
    """A hook failed or was stopped; the log has the reason."""


class HookCalls(AsyncIterator[_T], Generic[_T]):
    """An iterator over what a hook yields; `close` it when no more is read.

    Args:
        pieces: The hook.
        agent: Whose it is.
        what: What it makes, for the log: `a title`.
        thread_id: The thread, likewise.
        workers: Where its plain functions run.
        seconds: How long it may take.
        ended: Called when it has ended.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        pieces: Callable[[InThread], AsyncGenerator[_T, None]],
        agent: Agent,
        what: str,
        thread_id: str,
        *,
        workers: Workers,
        seconds: float,
        ended: Callable[[HookCalls[Any]], None],
        clock: Callable[[], float],
    ) -> None:
        self._pieces = pieces
        self._what = what
        self._thread_id = thread_id
        self._calls = WorkerCalls(workers)
        self._deadline = clock() + seconds
        self._ended = ended
        self._made: deque[_T] = deque()
        self._changed = asyncio.Event()
        self._failed = False
        self._tasks = Tasks(self._end, patience=agent.cancel_seconds)
        self._tasks.start_soon(self._work)

    async def __anext__(self) -> _T:
        """Return the next piece.

        Raises:
            HookFailed: There are no more, and there should be.
        """
        while not self._made:
            if self._tasks.over:
                if self._failed:
                    raise HookFailed
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._changed.set()
        return self._made.popleft()

    def check_time(self, now: float) -> None:
        """Stop the hook if its time is over."""
        if now > self._deadline and not self._tasks.cancelled:
            _log.error("the hook for %s took too long on thread %s, and was stopped", self._what, self._thread_id)
            self.close(hurry=True)

    def close(self, *, hurry: bool = False) -> None:
        """Stop the hook, if it has not ended; with `hurry`, soon abandon what runs in a worker thread."""
        self._tasks.cancel()
        if hurry and self._calls.busy:
            self._tasks.insist(min(IN_THREAD, self._tasks.patience))

    async def _work(self) -> None:
        within_agent.set(True)
        async with contextlib.aclosing(self._pieces(self._in_thread)) as pieces:
            async for piece in pieces:
                self._made.append(piece)
                self._changed.set()
                while len(self._made) > AHEAD:
                    self._changed.clear()
                    await self._changed.wait()

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        await self._calls.acquire()
        return await self._calls.call(function, *args)

    def _end(self) -> None:
        failures = list(self._tasks.failures)
        self._tasks.failures.clear()
        self._failed = self._tasks.cancelled
        if failures:
            failure = raised_one(failures)
            _log.error("the hook for %s failed on thread %s", self._what, self._thread_id, exc_info=failure)
        self._changed.set()
        self._ended(self)
