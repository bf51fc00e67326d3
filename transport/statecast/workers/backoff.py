"""`Backoff`: the pauses before a process is started again: none at first, and longer the sooner it ends each time."""

from __future__ import annotations

import asyncio
import time
from typing import Final

__all__ = ["Backoff"]

#: Seconds of the first pause and of the longest, and after which a process counts as one that works.
FIRST: Final = 0.1
LONGEST: Final = 5.0
WORKS: Final = 10.0


class Backoff:
    """Pauses between the starts of a process."""

    def __init__(self) -> None:
        self._next = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """The pause before the next start, if the process has ended now."""
        return 0.0 if time.monotonic() - self._started > WORKS else self._next

    async def wait(self) -> None:
        """Wait before the next start."""
        pause = self.seconds
        await asyncio.sleep(pause)
        self._next = min(max(2 * pause, FIRST), LONGEST)
        self._started = time.monotonic()
