"""`FollowedElsewhere`: the processes in which streams wait for a run that this process executes.

They say so when the first such stream begins, from time to time, and when the last one is lost. A process that is
silent for too long has ended, and its streams with it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["REPEATED", "FollowedElsewhere"]

#: Seconds between two times that a process says it.
REPEATED: Final = 10.0

#: Seconds for which it counts.
COUNTS: Final = 30.0

#: In place of a process: whichever followed the run while another process had it, and has not said so here yet.
ANYONE: Final = ""


class FollowedElsewhere:
    """The processes that follow one run."""

    __slots__ = ("_left", "_until")

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._left = False  #: whether a stream was lost, and only other processes kept the run going

    def begin(self, process: str, now: float) -> None:
        """Record that streams of a process wait for the run."""
        self._until[process] = now + COUNTS

    def begin_unknown(self, now: float) -> None:
        """Record that another process had the run before: those that follow it say so again."""
        self._until[ANYONE] = now + 2 * REPEATED

    def end(self, process: str) -> None:
        """Record that the last such stream of a process was lost."""
        self._until.pop(process, None)

    def leave(self, now: float) -> bool:
        """Record that the last stream here was lost; return whether nobody follows the run elsewhere."""
        self._left = any(until > now for until in self._until.values())
        return not self._left

    def has_ended(self, now: float) -> bool:
        """Return once whether the last process has become silent, and a stream was lost before that or with it."""
        gone = [process for process, until in self._until.items() if until <= now]
        for process in gone:
            del self._until[process]
        if self._until or not gone:
            return False
        lost = self._left or any(process != ANYONE for process in gone)
        self._left = False
        return lost
