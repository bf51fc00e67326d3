"""Making: new threads under ids that another process may be giving to a thread, too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from statecast.stores import Key

from .errors import ThreadExists
from .ownership.leases import HeldElsewhere
from .registry import Registry
from .thread import Thread

__all__ = ["AGAIN", "Making"]

#: Seconds until what another process has fenced is tried again.
AGAIN: Final = 0.02


class Making:
    """Makes new threads.

    Args:
        registry: The threads.
        known: Returns a thread, here or elsewhere; None if there is none.
    """

    def __init__(self, registry: Registry, known: Callable[[Key], Awaitable[Thread | None]]) -> None:
        self._registry = registry
        self._known = known

    async def make(self, key: Key, make: Callable[[], Awaitable[Thread]]) -> Thread:
        """Make a new thread, and return it once all of it is stored.

        Args:
            key: The thread's.
            make: Makes it; may raise `HeldElsewhere`, if another process has a thread of that id, or makes one.

        Raises:
            RequestError: `thread_exists`; whatever `make` raises.
        """
        while True:
            try:
                thread = await make()
                await self._registry.wait_stored(key)
                return thread
            except HeldElsewhere:
                if await self._known(key) is not None:
                    raise ThreadExists(key.thread_id) from None
                await asyncio.sleep(AGAIN)
