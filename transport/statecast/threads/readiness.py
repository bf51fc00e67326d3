"""Readiness: whether the server accepts requests, tested before a client needs to know.

The test writes to the store, so requests within a second share one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from statecast.stores import StoreUnavailable

from .registry import Registry

__all__ = ["ReadinessCheck"]

#: Seconds that a look is good for.
FRESH: Final = 1.0

#: Seconds that one may take. A disk that does not answer is no better than none.
PATIENCE: Final = 5.0

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

    async def check(self) -> None:
        """Test the store, unless it was just tested.

        Raises:
            RequestError: `store_unavailable`.
        """
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

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._at = self._registry.clock()
        if not look.cancelled():
            look.exception()  # whoever waits for it has it, if anybody still does
