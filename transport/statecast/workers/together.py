"""`Together`: what all workers of a server have counted, those included that have ended."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from statecast.http.counted import Counted, summed, sums

__all__ = ["Together"]

#: Seconds that a worker may take to say what it has counted; then what it said last counts.
ANSWER: Final = 1.0


class _Counting(Protocol):
    """A worker that counts."""

    def ask_counts(self) -> None:
        """Ask it for what it has counted."""


class Together:
    """Collects counts."""

    def __init__(self) -> None:
        self._known: dict[_Counting, list[Counted]] = {}  #: of each worker, as it said last
        self._ended: list[Counted] = []  #: of all that have ended
        self._asked: dict[_Counting, asyncio.Future[None]] = {}

    def enter(self, worker: _Counting) -> None:
        """Collect the counts of one more worker."""
        self._known[worker] = []

    def learn(self, worker: _Counting, counts: list[Counted]) -> None:
        """Learn what a worker has counted."""
        self._known[worker] = counts
        asked = self._asked.pop(worker, None)
        if asked is not None and not asked.done():
            asked.set_result(None)

    def leave(self, worker: _Counting) -> None:
        """Keep what a worker has counted that has ended, but not its levels."""
        self._ended = summed([self._ended, sums(self._known.pop(worker, []))])
        asked = self._asked.pop(worker, None)
        if asked is not None and not asked.done():
            asked.set_result(None)

    async def others(self, worker: _Counting) -> list[list[Counted]]:
        """Return what all but one worker have counted."""
        waiting = [self._ask(one) for one in self._known if one is not worker]
        if waiting:
            await asyncio.wait(waiting, timeout=ANSWER)
        return [self._ended, *(counts for one, counts in self._known.items() if one is not worker)]

    def _ask(self, worker: _Counting) -> asyncio.Future[None]:
        asked = self._asked.get(worker)
        if asked is None:
            asked = self._asked[worker] = asyncio.get_running_loop().create_future()
            worker.ask_counts()
        return asked
