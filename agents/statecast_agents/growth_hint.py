"""Write a hint to the log if code extends a long text by assignment, as `+=` does.

Python copies the text each time. At a million characters that takes about 25 µs if the allocator keeps the memory in
between. By default glibc returns it to the system, unless the process has freed a larger block before, and the copy
takes about 280 µs. `append_text` costs only what it adds.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

__all__ = ["LONG_TEXT", "hint_append_text"]

LONG_TEXT: Final = 65_536  #: characters from which on copying a text costs more than all else that an append does
PLACES: Final = 32  #: lines of code that are named; a program with more has read enough of them

_log: Final = logging.getLogger("statecast")
_named: set[tuple[str, int]] = set()


def hint_append_text(size: int) -> None:
    """Log which line of the agent's code makes a text of `size` characters longer, once for each line."""
    if len(_named) >= PLACES:
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "statecast_agents":
        frame = frame.f_back
    place = (frame.f_code.co_filename, frame.f_lineno)
    if place not in _named:
        _named.add(place)
        _log.warning(
            "%s:%d makes a text of %d characters longer by += or an assignment, which copies all of it each time; "
            "append_text costs only what it adds",
            *place,
            size,
        )
