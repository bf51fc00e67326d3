"""A disk without room for what this process writes, by itself and not through SQLite."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from unittest.mock import patch

__all__ = ["full_disk"]


@contextlib.contextmanager
def full_disk(after: int) -> Iterator[None]:
    """Let writes of the process write only so many bytes."""
    left = after
    write = os.write

    def writing(file: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, data[:left])
        left -= written
        return written

    with patch.object(os, "write", writing):
        yield
