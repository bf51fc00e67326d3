"""Foreign work has a task of its own, which is cancelled once and awaited within a bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from statecast.frameworks import foreign
from tests.frameworks.runs import run_on

pytestmark = pytest.mark.anyio

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Work:
    """A framework's work, which notes what reached it."""

    def __init__(self, *, swallows: bool = False) -> None:
        self.begun = anyio.Event()
        self.cancelled = 0
        self.tidied = 0  #: awaits of its cleanup that came back
        self.swallowed = anyio.Event()
        self.over = anyio.Event()
        self.release = anyio.Event()  #: ends work that swallows its cancellation
        self._swallows = swallows

    async def do(self) -> str:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            self.cancelled += 1
            for _ in range(5):
                await asyncio.sleep(0)
                self.tidied += 1
            if not self._swallows:
                raise
            self.swallowed.set()
            await self.release.wait()
        finally:
            self.over.set()
        return "done"


async def in_task(work: Work, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Cancel the task that does it, once."""
    task = asyncio.create_task(function())
    await work.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def in_scope(work: Work, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Cancel an anyio scope around it, which cancels again at every await."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function)
        await work.begun.wait()
        tasks.cancel_scope.cancel()


async def test_it_returns_what_the_function_returns_and_sees_the_callers_context() -> None:
    async def who(prefix: str) -> str:
        return prefix + WHO.get()

    WHO.set("user")
    assert await foreign(run_on(), who, "the ") == "the user"


async def test_it_raises_what_the_function_raises() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await foreign(run_on(), fail)


@pytest.mark.parametrize("cancel", [in_task, in_scope])
async def test_it_is_cancelled_once_and_cleans_up_with_awaits(cancel: Any) -> None:
    work = Work()

    await cancel(work, lambda: foreign(run_on(), work.do))
    assert (work.cancelled, work.tidied, work.over.is_set()) == (1, 5, True)


async def test_work_that_cleans_up_with_an_exception_leaves_none_behind(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()

    async def fails() -> None:
        try:
            await work.do()
        finally:
            raise LookupError("in the cleanup")

    await in_task(work, lambda: foreign(run_on(), fails))
    assert caplog.records == []


@pytest.mark.parametrize("cancel", [in_task, in_scope])
async def test_work_that_swallows_its_cancellation_is_left_behind(cancel: Any, caplog: Any) -> None:
    work = Work(swallows=True)

    with caplog.at_level(logging.ERROR):
        await cancel(work, lambda: foreign(run_on(), work.do, bound=0.01))
    assert (work.cancelled, work.tidied) == (1, 5)
    assert "run run_1 on thread t ends without its framework, which ignores the stop" in caplog.text
    work.release.set()
    await work.over.wait()


async def test_a_second_cancellation_ends_the_waiting() -> None:
    work = Work(swallows=True)
    task = asyncio.create_task(foreign(run_on(), work.do, bound=600))
    await work.begun.wait()
    task.cancel()
    await work.swallowed.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await work.over.wait()
