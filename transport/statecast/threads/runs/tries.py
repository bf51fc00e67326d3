"""How often a batch may begin that the process never lives to see the end of."""

from __future__ import annotations

import contextlib
import logging
from typing import Final

from statecast.protocol import RunError
from statecast.stores import BatchChanged, StoreUnavailable
from statecast.threads.log.logged_state import LoggedState

from .batch import Batch

__all__ = ["count_try"]

TRIES: Final = 3

_log: Final = logging.getLogger("statecast")


async def count_try(thread: LoggedState, run_id: str, batch: Batch) -> RunError | None:
    """Store which try of a batch begins, before it can end the process once more; or return why it is given up."""
    if batch.tries > TRIES:
        _log.error("run %s on thread %s failed: the server ended %d times during it", run_id, thread.id, TRIES)
        return RunError("too_many_tries", f"The server ended {TRIES} times while the run was active.")
    thread.journal.add(BatchChanged(thread.key, run_id, batch.encode()))
    with contextlib.suppress(StoreUnavailable):  # then the run is not stored either
        await thread.journal.wait_stored()
    return None
