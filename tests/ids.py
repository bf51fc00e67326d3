"""Ids of parameters that are the same in every process that runs tests: pytest-xdist compares them."""

from __future__ import annotations

import re

__all__ = ["stable"]

#: What differs: addresses of objects, and keys that were made for this run.
_OF_A_PROCESS = re.compile(r" at 0x[0-9a-f]+|-----BEGIN .+?-----END [A-Z ]+-----")


def stable(value: object) -> str:
    """Return the text of a parameter, without what differs from process to process."""
    return _OF_A_PROCESS.sub("", repr(value))
