"""The life of a run: which status may follow which.

Rule: whatever changes the status of a run takes the new one from `advance`. A run is queued first. A run that a restart
begins again is a new life of the same id: it is queued once more.

Source: docs/protocol/terms.md, "Words", where the diagram of a run is drawn from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from statecast.protocol import RunError, RunState, Status

__all__ = ["TRANSITIONS", "ImpossibleTransition", "advance"]

#: How a run that is under way may end, whatever it does at the moment.
_ENDS: Final[Mapping[Status, str]] = {
    "completed": "its handlers have returned",
    "failed": "its agent raised, or its time is over",
    "cancelled": "a client stopped it, or dropped it from the queue",
    "interrupted": "another command, or the end of the server, stopped it",
}

#: Status → each status that may follow, and what leads there.
TRANSITIONS: Final[Mapping[Status, Mapping[Status, str]]] = {
    "queued": {"running": "its turn has come, or a worker thread is free", **_ENDS},
    "running": {"waiting": "it needs its client", "queued": "it needs a worker thread, and none is free", **_ENDS},
    "waiting": {"running": "its client has answered", **_ENDS},
    "completed": {},
    "failed": {},
    "cancelled": {},
    "interrupted": {},
}


class ImpossibleTransition(RuntimeError):
    """A run was to take a status that cannot follow the one it has: an error of this library."""

    def __init__(self, run: RunState, status: Status) -> None:
        expected = ", ".join(f'"{after}"' for after in TRANSITIONS[run.status]) or "nothing, since it has ended"
        super().__init__(f'expected {expected} after "{run.status}" of the run {run.id}, got "{status}"')
        self.run = run
        self.status = status


def advance(run: RunState, status: Status, error: RunError | None = None, *, asks: bool = False) -> RunState:
    """Return a run with the status that follows; `asks`: it has ended, and waits for the answers to its questions.

    Raises:
        ImpossibleTransition: The status cannot follow.
    """
    if ("completed" if asks else status) not in TRANSITIONS[run.status]:
        raise ImpossibleTransition(run, status)
    return RunState(run.id, status, error, asks)
