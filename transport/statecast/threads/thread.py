"""A thread: a state and its log, the runs on it, and the readers that follow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Final
from zlib import crc32

import msgspec

from statecast.protocol import Cursor, Encoder, RunEntry, RunState
from statecast.protocol.entries import size_of
from statecast.stores import Change, Compacted, Created, Key, SavedThread
from statecast_agents import Agent, Document

from .errors import UnknownThread
from .limits import Limits
from .log.journal import Journal
from .log.logged_state import LoggedState
from .log.reader import Reader
from .log.restore import RestoredThread, restore
from .log.run_queue import RunQueue
from .runs.execution import Execution

__all__ = ["ERASED_AFTER", "Thread"]

#: Runs that end on a thread until the records of old ones are erased.
ERASED_AFTER: Final = 16


class Thread(LoggedState):
    """One conversation: the unit that has a log, readers and a place in the store.

    Args:
        key: Whose it is, and its id.
        agent: The agent that runs on it.
        document: Its state.
        journal: Takes what happens on it to the store.
        limits: What its log keeps, and how large its state may grow.
        lasting: Whether a client can name it; if not, it is gone soon after its last run.
        epoch: Of its log; a new one unless it was kept.
        clock: A monotonic clock, in seconds.
        archive: Called with the thread when its log is to be compacted, and to be kept as history; None: it is not.
    """

    __slots__ = ("_archive", "_clock", "applied", "epoch", "lasting", "queue", "runs_ended", "used")

    def __init__(
        self,
        key: Key,
        agent: Agent,
        document: Document,
        *,
        journal: Journal,
        limits: Limits,
        lasting: bool = True,
        epoch: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        archive: Callable[[Thread], None] | None = None,
    ) -> None:
        super().__init__(key, agent, document, journal=journal, limits=limits)
        self.lasting = lasting
        self._archive = archive if lasting else None
        self.epoch = epoch or os.urandom(6).hex()
        self.queue: RunQueue[Execution] = RunQueue(self.log)
        self.applied: dict[str, tuple[bytes, str]] = {}  #: command id → digest of the command, run id
        self.runs_ended = 0  #: runs whose records were written since those of old runs were erased
        self._clock = clock
        self.used = clock()

    @classmethod
    def restore(
        cls,
        saved: SavedThread,
        agent: Agent,
        *,
        journal: Journal,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        archive: Callable[[Thread], None] | None = None,
    ) -> Thread:
        """Restore a stored thread, at its last entry.

        Raises any error if the stored data is damaged.
        """
        found = restore(saved)
        thread = cls(
            saved.key,
            agent,
            found.document,
            journal=journal,
            limits=limits,
            lasting=saved.lasting,
            epoch=saved.epoch,
            clock=clock,
            archive=archive,
        )
        thread._restore(saved, found)
        return thread

    def reload(self, saved: SavedThread, agent: Agent) -> None:
        """Become what the store has by now, and keep the readers; the caller then sets the queue.

        A reader goes on from its place. It gets a snapshot if the log does not reach back there, or has another epoch.

        Raises any error if the stored data is damaged; then nothing has changed.
        """
        found = restore(saved)
        self.document.end(partial(UnknownThread, self.id))  # whoever still holds it can change nothing
        self.agent = agent
        self.lasting = saved.lasting
        self._memory = None
        self._adopt(found.document)
        self._restore(saved, found)
        epoch = None if saved.epoch == self.epoch else saved.epoch
        self.epoch = saved.epoch
        for reader in self.log.readers:
            reader.renew(epoch)
        self.log.wake()

    def renew(self, epoch: str) -> None:
        """Begin a new epoch: cursors of the one before may name entries that were lost."""
        self.epoch = epoch
        for reader in self.log.readers:
            reader.renew(epoch)
        self.log.wake()

    def _restore(self, saved: SavedThread, found: RestoredThread) -> None:
        before = [] if found.run is None else [RunEntry(saved.revision, found.run)]
        self.log.restore(saved.revision, found.entries, before)
        self.applied = saved.applied
        # Nobody knows how many did, if it is often unloaded: any number, but the same in each simulation.
        self.runs_ended = crc32(b"%d" % self.log.revision) % ERASED_AFTER
        if found.memory:
            self._memory = self._new_memory(found.memory)
        turns = [entry.run for entry in found.entries if isinstance(entry, RunEntry)]
        self.last_run = turns[-1] if turns else found.run
        self.queue.asks_since = saved.revision + len(found.entries) if self.asks else None
        self._uncompacted = sum(map(size_of, found.entries))
        if self._archive is not None:
            self._hold(saved.revision, saved.state, saved.run, written=self.log.revision)

    @property
    def cursor(self) -> Cursor:
        """The position of the last visible entry."""
        return Cursor(self.epoch, self.log.visible)

    @property
    def active(self) -> Execution | None:
        """The run whose turn it is."""
        return self.queue.active

    @property
    def inbox(self) -> list[Execution]:
        """The runs that wait behind the active one."""
        return self.queue.inbox

    @property
    def run(self) -> RunState | None:
        """The active run, else the one whose turn is next, as between two processes, else the last one."""
        current = self.queue.active or self.queue.next
        return self.last_run if current is None else current.state

    def knows(self, run_id: str) -> bool:
        """Return whether a run is queued or under way, or ended not long ago."""
        latest = self.last_run
        known = run_id in self.log.ends or (latest is not None and latest.id == run_id)
        return known or any(run.id == run_id for run in self.queue.live)

    @property
    def waits(self) -> bool:
        """Whether it waits for its client: its run does, or it has no run, and questions are open."""
        return self.asks if self.active is None else self.active.waits_since is not None

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or queued."""
        return self.active is not None or bool(self.inbox)

    @property
    def stored(self) -> bool:
        """Whether the store has it; else a crash could take it back, and it is not to be found."""
        return not self.log.hidden

    @property
    def readers(self) -> int:
        """The number of readers."""
        return len(self.log.readers)

    def touch(self) -> None:
        """Note that it is in use."""
        self.used = self._clock()

    def record(self, run: RunState) -> None:
        """Append a run's new status."""
        super().record(run)
        self.queue.asks_since = self.log.revision if run.asks else None

    def is_unchanged(self, since: Cursor) -> bool:
        """Return whether the state is what it was at a cursor; False where the log no longer tells."""
        self.flush()
        return since.epoch == self.epoch and not self.log.changed_after(since.revision)

    def begin_at(self, revision: int, run: RunState | None) -> None:
        """Begin the log of a new thread at a later revision than 0.

        Args:
            revision: Which one.
            run: The latest run there, which has ended.
        """
        self.log.restore(revision, [], [] if run is None else [RunEntry(revision, run)])
        self.last_run = run

    def created(self) -> list[Change]:
        """Return the changes that create this thread in a store."""
        revision, state = self.snapshot()
        run = msgspec.json.encode(self.last_run)
        if self._archive is not None:
            self._hold(revision, state, run, written=revision)
        made = Created(self.key, self.agent.name, self.epoch, self.lasting, state)
        return [made, Compacted(self.key, revision, state, run)] if revision else [made]

    def _shorten(self) -> None:
        if self._archive is None:
            self.compact()
        else:
            self._archive(self)

    def follow(
        self,
        encoder: Encoder,
        *,
        revision: int,
        snapshot: bool = False,
        until: str | None = None,
        endless: bool = False,
        whole: bool = False,
    ) -> Reader:
        """Add a reader; `leave` removes it."""
        reader = Reader(
            self,
            self.queue,
            encoder,
            revision=revision,
            snapshot=snapshot,
            until=until,
            endless=endless,
            whole=whole,
            send_bytes=self._limits.send_bytes,
        )
        self.log.join(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self.log.leave(reader)
        self.touch()

    def followers_of(self, run_id: str) -> int:
        """Return the number of readers whose streams end with that run."""
        return sum(reader.until == run_id for reader in self.log.readers)
