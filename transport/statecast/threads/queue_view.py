"""The queue: what waits behind a thread's run, as clients see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from .thread import Thread

__all__ = ["queued"]

#: Bytes of commands as JSON that are shown; of what is beyond, only the runs are.
MAX_SHOWN: Final = 65_536


def queued(thread: Thread) -> bytes:
    """Return the batches that wait behind a thread's run, in their order, as a JSON array of `{"runId", "commands"}`.

    A batch that the store does not have yet is not shown, and one that is too large for that without its commands.
    """
    shown: list[dict[str, Any]] = []
    size = 0
    for run in thread.inbox if thread.active is not None else ():
        if run.kept:
            commands = run.commands()
            size += len(commands)
            fits = {"commands": msgspec.Raw(commands)} if size <= MAX_SHOWN else {}
            shown.append({"runId": run.id, **fits})
    return msgspec.json.encode(shown)
