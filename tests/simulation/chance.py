"""What the seed of a story decides beside its people and troubles: ids, epochs and dates."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from .loop import SimulatedLoop

__all__ = ["nothing_else_is_random"]


@contextmanager
def nothing_else_is_random(seed: int, loop: SimulatedLoop) -> Iterator[None]:
    """Let ids, epochs and dates come from the seed, and the log of the servers be quiet."""
    ids = Random(f"{seed} ids")
    logger = logging.getLogger("statecast")
    before, logger.disabled = logger.disabled, True
    collects = gc.isenabled()
    gc.disable()
    try:
        with (
            patch("os.urandom", ids.randbytes),
            patch("time.time", lambda: 1_700_000_000.0 + loop.time()),
        ):
            yield
    finally:
        logger.disabled = before
        if collects:
            gc.enable()
