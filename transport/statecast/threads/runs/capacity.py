"""Capacity: the number of runs, in total and per owner, against their limits.

Hooks count as runs while they work. Waiting runs cost next to nothing and have a limit of their own; those beyond it
count as working runs.
"""

from __future__ import annotations

from collections import Counter

from statecast.threads.errors import ServerFull, TooManyRuns
from statecast.threads.limits import Limits

__all__ = ["Capacity"]


class Capacity:
    """Count runs against their limits.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all = 0
        self._waiting = 0
        self._of: Counter[str] = Counter()  #: by owner
        self._waiting_of: Counter[str] = Counter()

    def check(self, owner: str | None) -> None:
        """Check that another run may start.

        Raises:
            RequestError: `server_full`; `too_many_runs`.
        """
        limits = self._limits
        if self._all - min(self._waiting, limits.waiting) >= limits.runs:
            message = f"the server already has {limits.runs} queued and active runs; try again soon"
            raise ServerFull(message, retry_after=5, limit=limits.runs)
        if owner is None:
            return
        working = self._of[owner] - min(self._waiting_of[owner], limits.waiting_per_owner)
        if working >= limits.runs_per_owner:
            message = f"you have {working} active runs; wait for one to end, or stop it"
            raise TooManyRuns(message, retry_after=5, limit=limits.runs_per_owner)

    def enter(self, owner: str | None) -> None:
        """Count one more."""
        self._all += 1
        _add(self._of, owner, 1)

    def leave(self, owner: str | None) -> None:
        """Count one less."""
        self._all -= 1
        _add(self._of, owner, -1)

    def wait(self, owner: str | None, waits: bool) -> None:
        """Record that a run begins to wait for its user, or stops waiting."""
        by = 1 if waits else -1
        self._waiting += by
        _add(self._waiting_of, owner, by)


def _add(counts: Counter[str], owner: str | None, by: int) -> None:
    if owner is not None:
        counts[owner] += by
        if not counts[owner]:
            del counts[owner]
