"""Readiness: whether the server accepts requests, tested before a client needs to know.

The test writes to the store, so requests that come at about the same time share one. The answer comes within a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import UNSET, UnsetType

from statecast.stores import Durability, StoreUnavailable

from .registry import Registry

__all__ = ["ReadinessCheck"]

#: Seconds that a look is good for.
FRESH: Final = 0.25

#: Seconds that one may take. A disk that does not answer is no better than none.
PATIENCE: Final = 0.7

_log: Final = logging.getLogger("statecast")


class ReadinessCheck:
    """Test whether the store accepts changes.

    Args:
        registry: For the store.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._look: asyncio.Task[None] | None = None
        self._at = 0.0  #: when the last look ended
        self._reported = False

    async def check(self, start: Callable[[], Awaitable[None]]) -> None:
        """Test the store, unless it was just tested.

        Args:
            start: Opens the store, unless it is open.

        Raises:
            RequestError: `store_unavailable`.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await start()
        except TimeoutError:
            raise StoreUnavailable() from None
        look = self._look
        ended = look is None or look.done()
        if (
            look is None
            or look.get_loop() is not asyncio.get_running_loop()
            or (ended and self._registry.clock() - self._at > FRESH)
        ):
            look = self._look = asyncio.get_running_loop().create_task(self._registry.store.probe())
            look.add_done_callback(self._looked)
        await asyncio.wait({look}, timeout=PATIENCE)
        error = look.exception() if look.done() and not look.cancelled() else None
        if look.done() and error is None and self._registry.journal.failing is None:
            self._reported = False
            return
        if not self._reported:
            self._reported = True
            _log.error("not ready: %s", error or self._registry.journal.failing or "the store does not answer")
        if error is not None and not isinstance(error, StoreUnavailable):
            raise error
        raise StoreUnavailable()

    async def durability(self) -> Durability | UnsetType | None:
        """Return what a confirmed write survives; UNSET if the store does not say in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._registry.store.durability()
        except (StoreUnavailable, TimeoutError):
            return UNSET

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._at = self._registry.clock()
        if not look.cancelled():
            look.exception()  # whoever waits for it has it, if anybody still does
