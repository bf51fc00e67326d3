"""Limits so small that the SQLite store does all the time what it otherwise does now and then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

__all__ = ["LITTLE", "little"]

#: Of the entries: everything is moved time and again.
LITTLE: dict[str, Any] = {
    "MOST": 12,
    "AT_ONCE": 4,
    "MOST_BYTES": 2_000,
    "AT_ONCE_BYTES": 500,
    "FULL": 5,
    "FULL_BYTES": 700,
}


@contextlib.contextmanager
def little() -> Iterator[None]:
    """Write to SQLite after a few changes, begin another segment, and bring the log into the file."""
    with (
        patch.multiple("statecast.stores.sqlite.entries", **LITTLE),
        patch("statecast.stores.sqlite.backlog.MOST", 6),
        patch("statecast.stores.sqlite.opened.CHECKPOINT_AT", 50_000),
        patch("statecast.stores.sqlite.store.SEGMENT_BYTES", 5_000),
        patch("statecast.stores.sqlite.store.AGAIN", 0.0),
    ):
        yield
