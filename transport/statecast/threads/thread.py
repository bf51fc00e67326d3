"""A thread: a state, its log, the inbox of batches that wait, and the readers that follow.

Everything here happens on the event loop's thread and without awaiting, so that what a reader sees at a revision is
what the state was. Mutations may come from other threads; they are flushed here.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from statecast.protocol import ChunkEntry, Cursor, Encoder, Entry, OperationsEntry, RunEntry, RunState
from statecast.protocol.entries import ENTRY, size_of
from statecast.protocol.errors import Refusal
from statecast.stores import Appended, Compacted, Created, Key, SavedThread, write_entry
from statecast_agents import Agent, Document, RunEnded
from statecast_agents.chunks import Chunk

from .journal import Journal
from .limits import Limits
from .log import Log
from .reader import Reader
from .restore import restore

if TYPE_CHECKING:
    from .execution import Execution

__all__ = ["Thread"]

#: Ends of runs that are remembered, for streams that are still to reach them.
ENDS: Final = 256


class Thread:
    """One conversation: the unit that is numbered, followed and kept.

    Args:
        key: Whose it is, and its id.
        agent: The agent that runs on it.
        document: Its state.
        journal: Takes what happens on it to the store.
        limits: What its log keeps, and how large its state may grow.
        lasting: Whether a client can name it; if not, it is gone soon after its last run.
        epoch: Of its log; a new one unless it was kept.
    """

    __slots__ = (
        "_closed",
        "_encoded",
        "_ends",
        "_grown",
        "_home",
        "_instant",
        "_limits",
        "_readers",
        "_size",
        "_uncompacted",
        "active",
        "agent",
        "applied",
        "document",
        "epoch",
        "frames",
        "gone",
        "inbox",
        "journal",
        "kept",
        "key",
        "last_run",
        "lasting",
        "log",
        "loop",
        "queue_turned",
        "used",
    )

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
    ) -> None:
        self.key = key
        self.agent = agent
        self.document = document
        self.lasting = lasting
        self.epoch = epoch or secrets.token_hex(6)
        self.log = Log(keep_entries=limits.keep_entries, keep_bytes=limits.keep_bytes)
        self.loop = asyncio.get_running_loop()
        self.active: Execution | None = None
        self.inbox: list[Execution] = []  #: short, and an empty deque holds 760 bytes
        self.queue_turned = 0  #: how often the inbox has changed, for readers that show it
        self.applied: dict[str, tuple[bytes, str]] = {}  #: command id → digest of the command, run id
        self.last_run: RunState | None = None
        self.used = time.monotonic()
        self.journal = journal  #: takes what happens to the store
        self._instant = journal.instant
        self._limits = limits
        self._readers: set[Reader] = set()
        self._ends: dict[str, int] = {}
        self._closed = False  #: whether streams are to end, because the server stops
        self.kept = True  #: whether the store has it, so that it may be shown
        self.gone = False  #: whether it takes no more changes, see `retire`
        #: what readers took last: after a revision, up to another, and the bytes; by what they have in common
        self.frames: dict[object, tuple[int, int, bytes]] = {}
        self._home = threading.get_ident()
        self._encoded: bytes | None = None  #: until the state changes
        self._grown = 0  #: bytes of operations since then
        self._uncompacted = 0  #: bytes of entries since the store's snapshot
        document.flush()
        self._size = document.bound(limits.state)  #: bytes of the state, when it was last encoded whole
        document.wake = self._wake

    @classmethod
    def restore(cls, saved: SavedThread, agent: Agent, *, journal: Journal, limits: Limits) -> Thread:
        """Take up a thread that was kept, at its last entry.

        What is wrong with what was kept raises, whichever error it may be.
        """
        found = restore(saved)
        thread = cls(
            saved.key, agent, found.document, journal=journal, limits=limits, lasting=saved.lasting, epoch=saved.epoch
        )
        before = [] if found.run is None else [RunEntry(saved.revision, found.run)]
        thread.log.restore(saved.revision, found.entries, before)
        thread.applied = saved.applied
        turns = [entry.run for entry in found.entries if isinstance(entry, RunEntry)]
        thread.last_run = turns[-1] if turns else found.run
        thread._uncompacted = sum(map(size_of, found.entries))
        return thread

    @property
    def id(self) -> str:
        """The thread's id."""
        return self.key.thread_id

    @property
    def owner(self) -> str | None:
        """Whose it is; None where the app knows no owners."""
        return self.key.owner

    @property
    def cursor(self) -> Cursor:
        """The end of the log, as far as readers may see it."""
        return Cursor(self.epoch, self.log.visible)

    @property
    def before_the_end(self) -> int:
        """The revision before the last entry about a run: who follows from there is told what became of it."""
        turns = [entry.revision for entry in self.log.rest(-1) if isinstance(entry, RunEntry)]
        return turns[-1] - 1 if turns else self.log.revision

    @property
    def run(self) -> RunState | None:
        """The run that is active, else the last one."""
        return self.last_run if self.active is None else self.active.state

    @property
    def readers(self) -> int:
        """How many follow."""
        return len(self._readers)

    def created(self) -> Created:
        """Return what a store is told of this thread when it is new."""
        return Created(self.key, self.agent.name, self.epoch, self.lasting, self.snapshot()[1])

    def end_of(self, run_id: str) -> int | None:
        """Return the revision at which nothing more comes of a run without its client; None while something may.

        That is where it ended, or where it, or the run it is queued behind, began to wait for the user.
        """
        active = self.active
        if active is not None and active.id == run_id:
            return active.waits_since
        if any(waiting.id == run_id for waiting in self.inbox):
            return None if active is None else active.waits_since
        return self._ends.get(run_id, 0)

    def flush(self) -> None:
        """Append what has changed in the state to the log, if anything has."""
        changes = self.document.flush()
        operations = changes.operations
        if operations:
            delta = changes.delta
            size = len(operations) + len(delta) + ENTRY
            self._encoded = None
            self._grown += size
            self._append(OperationsEntry(self.log.revision + 1, operations, changes.grew_at, delta), size)

    def emit(self, run_id: str, chunk: Chunk) -> None:
        """Append a chunk, behind everything that was changed before it."""
        self.flush()
        entry = ChunkEntry(self.log.revision + 1, run_id, chunk)
        self._append(entry, size_of(entry))

    def record(self, run: RunState) -> None:
        """Append what became of a run."""
        self.flush()
        self.last_run = run
        self._append(RunEntry(self.log.revision + 1, run), ENTRY)
        if run.ended:
            self._ends[run.id] = self.log.revision
            if len(self._ends) > ENDS:
                del self._ends[next(iter(self._ends))]

    @property
    def here(self) -> bool:
        """Whether this is the event loop's thread."""
        return threading.get_ident() == self._home

    def flush_from_anywhere(self) -> None:
        """Flush, from any thread: at once on the event loop's, soon from another."""
        if self.here:
            self.flush()
        else:
            self.loop.call_soon_threadsafe(self.flush)

    def fence(self, run_id: str) -> None:
        """Take the state from a run that has ended: what is left of it can read the state, and change nothing."""
        if self.gone:
            return
        with self.document.lock:
            self.flush()
            state = self.document.end(partial(RunEnded, run_id))
        self._encoded = None
        self.document = Document.adopting(None, state)
        self._size, self._grown = self.document.bound(self._limits.state), 0
        self.document.wake = self._wake

    def retire(self, refusal: Callable[[], Refusal]) -> None:
        """Take no more changes: the thread is deleted, another owner's, damaged, or only in the store from here on.

        Args:
            refusal: Makes what is raised where somebody would still change it.
        """
        if not self.gone:
            self.gone = True
            self.document.end(refusal)
            self.close_readers()

    def show(self, revision: int) -> None:
        """Let readers see the log up to `revision`: the store has it."""
        self.log.visible = revision
        for reader in self._readers:
            waiting = reader.waiting
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def settled(self) -> None:
        """Wait until everything that has happened so far is kept, and may be shown.

        Raises:
            StoreUnavailable: The store did not take it.
        """
        self.flush()
        await self.journal.settled()

    def snapshot(self) -> tuple[int, bytes]:
        """Return the end of the log, and the state there as JSON."""
        with self.document.lock:  # no other thread may mutate between the two
            self.flush()
            if self._encoded is None:
                self._encoded = self.document.encode()
            return self.log.revision, self._encoded

    def is_unchanged(self, since: Cursor) -> bool:
        """Return whether the state is what it was at a cursor; False where the log no longer tells."""
        self.flush()
        return since.epoch == self.epoch and not self.log.changed_after(since.revision)

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
            encoder,
            revision=revision,
            snapshot=snapshot,
            until=until,
            endless=endless,
            whole=whole,
            send_bytes=self._limits.send_bytes,
        )
        self._readers.add(reader)
        if self._closed:
            reader.close()
        return reader

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self._readers.discard(reader)
        self.frames.clear()
        self.used = time.monotonic()

    def followers_of(self, run_id: str) -> int:
        """How many readers' streams end with that run."""
        return sum(reader.until == run_id for reader in self._readers)

    def begin_message(self) -> None:
        """Forget the parts of earlier runs, as far as no reader needs them."""
        self.log.forget_parts((reader.revision, reader.until) for reader in self._readers)

    def beat(self) -> None:
        """Send heartbeats to readers that have been quiet."""
        for reader in self._readers:
            reader.beat()

    def wake_readers(self) -> None:
        """Let every reader look again."""
        for reader in self._readers:
            reader.wake()

    def turn_queue(self) -> None:
        """Note that what waits in the inbox, and is kept, is something else now."""
        self.queue_turned += 1
        self.wake_readers()

    def close_readers(self) -> None:
        """End every stream early, and those that are yet to begin."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    def _append(self, entry: Entry, size: int) -> None:
        log = self.log
        if log.append(entry, size):
            log.trim(reader.revision for reader in self._readers)
        if self._instant:
            # An instant store holds nothing that the thread does not hold as well, until the thread is let go.
            self.show(entry.revision)
            return
        kind, data = write_entry(entry)
        goes_on = not entry.run.ended if isinstance(entry, RunEntry) else None
        self.journal.add_entry(self, Appended(self.key, entry.revision, kind, data, goes_on), entry.revision)
        self._uncompacted += size
        if self._uncompacted > max(self._limits.keep_bytes, 2 * self._size):
            self.compact()

    @property
    def size(self) -> int:
        """Bytes of the state as JSON, or a few more."""
        return self._size + self._grown

    def has_room(self, more: int) -> bool:
        """Return whether the state may grow by so many bytes."""
        return self.document.has_room(more)

    def compact(self) -> None:
        """Replace what the store has by a snapshot. At most as often as the log has grown by twice the state."""
        self._uncompacted = 0
        revision, state = self.snapshot()
        self._size, self._grown = len(state), 0
        self.journal.add(Compacted(self.key, revision, state, msgspec.json.encode(self.last_run)))

    def _wake(self) -> None:
        if threading.get_ident() == self._home:
            self.loop.call_soon(self.flush)
        else:
            self.loop.call_soon_threadsafe(self.flush)
