"""The clock of a run: how long it may still take. The time that it waits for its client is counted apart."""

from __future__ import annotations

import math
from collections.abc import Callable

from statecast.threads.limits import Limits

__all__ = ["RunClock"]


class RunClock:
    """Counts the seconds that a run takes.

    Args:
        limits: How long it may take, and how long wait.
        clock: A monotonic clock, in seconds.
    """

    __slots__ = ("_deadline", "_left", "_now", "_started", "_waiting")

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._now = clock
        self._left = limits.run_seconds
        self._waiting = limits.waiting_seconds
        self._started = 0.0  #: when it last began to work, or went on
        self._deadline = math.inf

    def work(self) -> None:
        """Count the time that it works, from now on."""
        self._started = self._now()
        self._deadline = self._started + self._left

    def wait(self) -> None:
        """Count the time that it waits, from now on."""
        now = self._now()
        self._left -= now - self._started
        self._deadline = now + self._waiting

    def is_over(self, now: float) -> bool:
        """Return whether its time is over; `now` is the clock's."""
        return now > self._deadline
