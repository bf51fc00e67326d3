"""Offloading: work that would block the event loop runs in a worker thread, two at a time.

Rule: offloaded work touches only what nobody else changes meanwhile: bytes, and values decoded from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

__all__ = ["LARGE", "offload"]

#: Bytes from which on work is done aside: so many small values are about 20 ms of it, and a thread costs 0.1 ms.
LARGE: Final = 131_072

#: Threads: more would only take turns.
THREADS: Final = 2

_limiter: Final = RunVar[CapacityLimiter]("statecast aside")

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


async def offload(size: int, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """Return what `work` returns: called directly if there is little to do, else in a thread.

    Args:
        size: Bytes that are worked on, about.
        work: What is done. It is not given up when the caller is.
        args: Its arguments.
    """
    if size < LARGE:
        return work(*args)
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = CapacityLimiter(THREADS)
        _limiter.set(limiter)
    return await to_thread.run_sync(work, *args, limiter=limiter)
