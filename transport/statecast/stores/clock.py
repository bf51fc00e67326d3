"""The time that a store goes by when it tells how long a thread has been idle.

The system's clock may jump, by years, in either direction, and be set right again later. What is deleted by then is
gone. So a store's time is counted: it runs while the store is open, at the pace of a clock that cannot be set, and goes
on, when the store is opened again, from the latest that was kept. It is not the time of day, and nobody is shown it.
"""

from __future__ import annotations

import time
import zlib
from time import monotonic

__all__ = ["Clock"]


class Clock:
    """Counts seconds.

    Args:
        at: What `written` returned, when time was last kept; None: never. Anything else counts as never.
    """

    def __init__(self, at: object = None) -> None:
        self._start = _read(at)
        self._opened = monotonic()

    def now(self) -> float:
        """Return the time."""
        return self._start + (monotonic() - self._opened)

    def written(self) -> str:
        """Return the time as it is kept: a digit that was damaged on the disk is noticed."""
        text = f"{self.now():.6f}"
        return f"{text} {zlib.crc32(text.encode()):08x}"


def _read(at: object) -> float:
    """Return the time that was kept. The first time of all is the system's, so that older files go on."""
    text, _, check = at.partition(" ") if isinstance(at, str) else ("", "", "")
    return float(text) if text and check == f"{zlib.crc32(text.encode()):08x}" else time.time()
