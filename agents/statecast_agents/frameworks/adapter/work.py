"""Foreign work: a framework's code, run in a separate asyncio task.

Frameworks use awaits for cleanup, and some start tasks that end only if their caller is cancelled exactly once. An
anyio scope cancels again at every await. So the work has its own task, which is cancelled once and awaited within a
shield.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple

import anyio

from statecast_agents.run import Run

__all__ = ["CLEANUP_SECONDS", "foreign"]

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

#: Seconds that cancelled work gets to end. Less than an agent's `cancel_seconds` by default, so that the run ends in
#: order even where the work does not.
CLEANUP_SECONDS: Final = 8.0

#: Work that did not end in time, as long as it goes on: the event loop has weak references only.
_abandoned: Final[set[asyncio.Task[Any]]] = set()

_log: Final = logging.getLogger("statecast")


async def foreign(
    run: Run,
    function: Callable[[*_Args], Coroutine[Any, Any, _T]],
    *args: *_Args,
    bound: float = CLEANUP_SECONDS,
    stop: Callable[[], object] | None = None,
) -> _T:
    """Run `function(*args)` in a separate task, with a copy of the caller's context variables; return its result.

    When the caller is cancelled, the task is cancelled once and awaited for up to `bound` seconds. Then it is abandoned
    and can no longer change the state. If the caller is cancelled again meanwhile, this function stops waiting.

    Args:
        run: The run that the work belongs to.
        function: A coroutine function of the framework, or one that calls it.
        args: Its arguments.
        bound: Seconds for cleanup after a cancellation.
        stop: Called when the caller is cancelled, before the task is, for a framework with its own way to stop.

    Raises:
        BaseException: Any exception of the function.
    """
    task = asyncio.create_task(function(*args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            if stop is not None:
                stop()
            task.cancel()
            await _end(task, bound)
        if not task.done():
            _log.error(
                "run %s on thread %s ends without its framework, which ignores the stop",
                run.id,
                run.thread_id,
            )
            _abandoned.add(task)
            task.add_done_callback(_forget)
        elif not task.cancelled():
            task.exception()  # asyncio would log one that nobody has looked at
        raise


async def _end(task: asyncio.Task[Any], bound: float) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await asyncio.wait([task], timeout=bound)
        except asyncio.CancelledError:  # asyncio's, which no scope holds up: whoever cancels has lost patience
            task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()
