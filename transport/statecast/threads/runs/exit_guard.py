"""Exit guard: `SystemExit` and `KeyboardInterrupt` in a task that an agent creates stay in that task.

asyncio propagates these two out of the event loop, whichever task raises them, which would end the server. Here they
become an error of the task. A real Ctrl+C is a signal and is not raised in a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final

__all__ = ["TaskExited", "contain", "release", "within_agent"]

#: Whether code runs for an agent; set in the contexts of runs and hooks, from where it reaches every task they make.
within_agent: Final[ContextVar[bool]] = ContextVar("statecast_within_agent", default=False)


class TaskExited(RuntimeError):
    """A task of an agent raised `SystemExit` or `KeyboardInterrupt`; that is the cause of this error."""


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that raises `TaskExited` instead of an exception that leaves the event loop."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any, /) -> Any:
        try:
            return self._coroutine.send(value)
        except (SystemExit, KeyboardInterrupt) as failure:
            raise TaskExited(f"a task of the agent raised {failure!r}") from failure

    def throw(self, *error: Any) -> Any:
        try:
            return self._coroutine.throw(*error)
        except (SystemExit, KeyboardInterrupt) as failure:
            raise TaskExited(f"a task of the agent raised {failure!r}") from failure

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # its name and frame, for whoever shows the task


class _Containing:
    """A task factory that wraps the tasks of agents."""

    def __init__(self, factory: Callable[..., asyncio.Future[Any]] | None) -> None:
        self.factory = factory

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], /, **options: Any
    ) -> asyncio.Future[Any]:
        context: Context | None = options.get("context")
        if within_agent.get() if context is None else context.get(within_agent, False):
            coro = _Contained(coro)
        return asyncio.Task(coro, loop=loop, **options) if self.factory is None else self.factory(loop, coro, **options)


def contain(loop: asyncio.AbstractEventLoop) -> None:
    """Guard the tasks that agents create on an event loop."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Containing):
        loop.set_task_factory(_Containing(factory))  # type: ignore[arg-type]  # the stubs name no options


def release(loop: asyncio.AbstractEventLoop) -> None:
    """Restore an event loop's task factory, unless somebody else has replaced it since."""
    factory = loop.get_task_factory()
    if isinstance(factory, _Containing):
        loop.set_task_factory(factory.factory)
