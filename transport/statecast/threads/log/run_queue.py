"""The runs of one thread: the one that is active, and those that wait behind it. Only the scheduler changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from .log import Log

__all__ = ["QueuedRun", "RunQueue"]

#: Bytes of commands as JSON in one frame; of batches beyond, only the runs are listed.
MAX_COMMANDS: Final = 65_536


class QueuedRun(Protocol):
    """What a queue needs of a run."""

    id: str
    start: int  #: the revision it began at
    waits_since: int | None  #: the revision at which it began to wait for its client; None while it does not

    @property
    def begun(self) -> bool:
        """Whether its first entries are in the log."""

    @property
    def held(self) -> bool:
        """Whether it stays queued until the thread's questions are answered."""

    def commands(self) -> bytes:
        """Return the commands as JSON."""


_Run = TypeVar("_Run", bound=QueuedRun)


class RunQueue(Generic[_Run]):
    """The runs of one thread.

    Args:
        log: The thread's log.
    """

    __slots__ = ("_log", "_unstored", "active", "asks_since", "inbox", "turned", "version")

    def __init__(self, log: Log) -> None:
        self.active: _Run | None = None  #: the run whose turn it is
        self.inbox: list[_Run] = []  #: those behind it; short, and an empty deque holds 760 bytes
        self.asks_since: int | None = None  #: the revision at which the thread began to wait for answers, without a run
        self.turned = 0  #: how often the queue's frame has changed
        self.version = -1  #: of a thread that another process holds, the version of its inbox in the store
        self._unstored: list[_Run] = []  #: those in the inbox that the store does not have yet
        self._log = log

    @property
    def live(self) -> list[_Run]:
        """The active run, and those behind it."""
        return self.inbox.copy() if self.active is None else [self.active, *self.inbox]

    @property
    def stored_runs(self) -> list[_Run]:
        """Those in the inbox that the store has."""
        return [run for run in self.inbox if run not in self._unstored]

    @property
    def next(self) -> _Run | None:
        """The run whose turn is next, once the store has it; None while no turn can begin."""
        following = next((run for run in self.inbox if not run.held), None)
        return None if self.active is not None or following in self._unstored else following

    def put(self, place: int, run: _Run, *, stored: bool = True) -> None:
        """Put a run into the inbox.

        Args:
            place: Where, as `list.insert` takes it.
            run: The run.
            stored: Whether the store has it; else it neither begins nor is shown before `store`.
        """
        self.inbox.insert(place, run)
        if not stored:
            self._unstored.append(run)

    def store(self, run: _Run) -> None:
        """Record that the store has a run."""
        if run in self._unstored:
            self._unstored.remove(run)

    def remove(self, run: _Run) -> None:
        """Remove a run from the inbox."""
        self.inbox.remove(run)
        self.store(run)

    def replace(self, active: _Run | None, inbox: Sequence[_Run]) -> None:
        """Make these the runs of the thread: another process executes them, or did so until now."""
        self.active, self.inbox = active, list(inbox)
        self._unstored.clear()
        self.turn()

    def turn(self) -> None:
        """Wake readers: the queue's frame has changed."""
        self.turned += 1
        self._log.wake()

    def end_of(self, run_id: str) -> int | None:
        """Return the revision at which a run ended or began to wait for its client; None before that.

        That is where it ended, or where it, the run it is queued behind, or the thread began to wait for the user.
        """
        active = self.active
        if active is not None and active.id == run_id:
            return active.waits_since
        queued = next((run for run in self.inbox if run.id == run_id), None)
        if queued is not None:
            return (self.asks_since if queued.held else None) if active is None else active.waits_since
        return self._log.ends.get(run_id, 0)

    @property
    def stored(self) -> bool:
        """Whether the store has what made the queue what it is; else a crash would bring back what has left it."""
        active, log = self.active, self._log
        return log.visible == log.revision if active is None else active.begun and log.visible > active.start

    def as_json(self) -> bytes:
        """Return the batches that wait behind the active run, or for answers: a JSON array of `{"runId", "commands"}`.

        Batches that are not stored yet are omitted; large ones appear without their commands.
        """
        listed: list[dict[str, Any]] = []
        size = 0
        following = self.next
        for run in self.stored_runs:
            if run is following:
                continue  # its turn comes at once, here or in the next process
            commands = run.commands()
            size += len(commands)
            fits = {"commands": msgspec.Raw(commands)} if size <= MAX_COMMANDS else {}
            listed.append({"runId": run.id, **fits})
        return msgspec.json.encode(listed)
