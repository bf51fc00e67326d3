"""What the server wrote into its log during a story, and which of it nothing but a fault explains."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["faults"]

#: Whatever an agent does, or a client, these are said by code that lost hold of a task, a response or a file.
FAULTS: Final = re.compile(
    r"never retrieved|was never awaited|Task was destroyed|Exception in ASGI|Exception in callback|Exception ignored"
    r"|exception was not handled|Unhandled|ResourceWarning|RuntimeWarning|Fatal|Segmentation|--- Logging error ---"
)
#: How a traceback begins, of which the line before says whose it is.
TRACEBACK: Final = re.compile(r"\s*(\+ Exception Group )?Traceback \(most recent call last\):")
#: Lines before a traceback that belongs there: an agent's, a hook's, a row's, and of an error's own cause.
EXPLAINED: Final = re.compile(r"\brun\b|\bhook\b|\bthread\b|^During handling|^The above exception")


def faults(log: str) -> list[str]:
    """Return the lines of a log that should not be there."""
    found = [line for line in log.splitlines() if FAULTS.search(line)]
    before = ""
    for line in log.splitlines():
        if TRACEBACK.match(line) and before and not EXPLAINED.search(before):
            found.append(f"a traceback behind: {before}")
        if line and not line[0].isspace() and not TRACEBACK.match(line):
            before = line
    return found
