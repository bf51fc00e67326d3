"""`Begun`: calls that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from statecast.protocol.errors import RequestError
from statecast.stores import Key
from statecast.threads.calls.replies import Reply
from statecast.threads.calls.requests import Call

__all__ = ["Begun", "Perform"]

#: Performs a call on a thread, wherever that is held; it raises RequestError.
Perform: TypeAlias = Callable[[Key, Call], Awaitable[Reply]]


class Begun:
    """Performs calls in tasks of its own.

    Args:
        perform: Performs a call.
    """

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, key: Key, call: Call, replied: Callable[[Reply], None] = lambda reply: None) -> None:
        """Begin a call; what it is refused for is nobody's concern. `replied` is called with its reply."""

        async def perform() -> None:
            with contextlib.suppress(RequestError):
                replied(await self._perform(key, call))

        task = asyncio.get_running_loop().create_task(perform())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Let calls be performed until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()
