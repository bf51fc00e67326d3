"""`Clock`: the time by which a store tells how long a thread has been idle.

The system's clock may jump by years, in either direction, and be corrected later; threads deleted in between are lost.
So a store counts its own time: it runs while the store is open, at the pace of a monotonic clock, and continues from
the last stored value when the store is opened again. It is not the time of day, and is never shown.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Counts seconds.

    Args:
        at: What `written` returned when the time was last stored; anything else: it never was.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, at: object = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._start = _read(at)
        self._clock = clock
        self._opened = clock()

    def now(self) -> float:
        """Return the time."""
        return self._start + (self._clock() - self._opened)

    def written(self) -> str:
        """Return the time with a checksum, to be stored: a damaged digit is detected."""
        text = f"{self.now():.6f}"
        return f"{text} {zlib.crc32(text.encode()):08x}"


def _read(at: object) -> float:
    """Return the stored time; if there is none, the system's, which older files were written with."""
    text, _, check = at.partition(" ") if isinstance(at, str) else ("", "", "")
    return float(text) if text and check == f"{zlib.crc32(text.encode()):08x}" else time.time()
