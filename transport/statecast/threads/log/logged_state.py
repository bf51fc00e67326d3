"""A state and its log: what changes in the state is appended, stored by the journal, and then visible to readers.

Everything here happens on the event loop's thread and without awaiting, so that what a reader sees at a revision is
what the state was. Mutations may come from other threads; they are flushed here.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast.protocol.entries import ENTRY, size_of
from statecast.protocol.errors import RequestError
from statecast.stores import MEMORY, Appended, Compacted, Key, RecordErased, RecordWritten, write_entry
from statecast.threads.limits import Limits
from statecast_agents import Agent, Document, Json, Memory, Messages, RunEnded, operations
from statecast_agents.answers import Answers
from statecast_agents.chunks import Chunk
from statecast_agents.memory_versions import Record

from .discard import DiscardingJournal
from .journal import Journal
from .log import Log
from .stretch import Stretch
from .unstored import Unstored

__all__ = ["LoggedState"]

#: Bytes of entries of another process that are not applied to a state before anybody looks at it.
FED: Final = 262_144


class LoggedState:
    """The state of a thread, and its log.

    Args:
        key: Whose the thread is, and its id.
        agent: The agent that runs on it.
        document: The state.
        journal: Takes what happens to the store.
        limits: What the log keeps, and how large the state may grow.
    """

    __slots__ = (
        "_encoded",
        "_fed",
        "_fed_bytes",
        "_grown",
        "_home",
        "_instant",
        "_lane",
        "_limits",
        "_memory",
        "_size",
        "_uncompacted",
        "_unstored",
        "agent",
        "document",
        "journal",
        "key",
        "last_run",
        "lease",
        "log",
        "loop",
        "losses",
        "on_entry",
        "owned",
        "released",
        "written",
        "written_bytes",
    )

    def __init__(self, key: Key, agent: Agent, document: Document, *, journal: Journal, limits: Limits) -> None:
        self.key = key
        self.agent = agent
        self.document = document
        self.journal = journal
        self.log = Log(keep_entries=limits.keep_entries, keep_bytes=limits.keep_bytes, turn=journal.turn)
        self.loop = asyncio.get_running_loop()
        self.last_run: RunState | None = None
        self._fed: list[bytes]  #: operations in the log that the state does not have yet, see `learn`
        self._fed_bytes: int
        self.on_entry: Callable[[], None] | None = None  #: called with the next entry
        self.owned = journal.writer is None  #: whether this process may write to it
        self.lease: int | None = None  #: in a shared store, the token of the claim under which it does
        self.released: int | None = None  #: the token of the last claim, if it was given up and not lost
        self.losses = 0  #: how often another process has claimed it while it was owned
        self._instant = journal.instant
        self._lane = journal.lane_of(key)
        self._limits = limits
        self._home = threading.get_ident()
        self._encoded: bytes | None = None  #: until the state changes
        self._grown = 0  #: bytes of operations since then
        self._uncompacted = 0  #: bytes of entries since the store's snapshot
        self._unstored: Unstored | None = (
            None  #: what an instant store does not have; None: it has all, or none is kept
        )
        self._memory: Memory | None = None  #: made when a run begins, or the thread is restored with one
        self._size = 0  #: bytes of the state, when it was last encoded whole
        self.written = 0  #: batches of operations that were appended here
        self.written_bytes = 0  #: of them, as JSON
        self._adopt(document)

    def _adopt(self, document: Document) -> None:
        """Take a document for the state."""
        self.document = document
        self._fed, self._fed_bytes = [], 0
        document.flush()
        self._encoded, self._grown = None, 0
        self._size = document.bound(self._limits.state)
        document.wake = self._wake

    @property
    def id(self) -> str:
        """The thread's id."""
        return self.key.thread_id

    @property
    def owner(self) -> str | None:
        """The owner; None if the app has no owners."""
        return self.key.owner

    @property
    def gone(self) -> bool:
        """Whether it takes no more changes, see `retire`."""
        return self.document.ended

    @property
    def here(self) -> bool:
        """Return whether this is the event loop's thread."""
        return threading.get_ident() == self._home

    @property
    def size(self) -> int:
        """The state's size as JSON in bytes, or slightly more."""
        return self._size + self._grown

    @property
    def asks(self) -> bool:
        """Whether its last run has ended, and left questions that it waits for."""
        return self.last_run is not None and self.last_run.asks

    def has_room(self, more: int) -> bool:
        """Return whether the state may grow by this many bytes."""
        return self.document.has_room(more)

    def flush(self) -> None:
        """Append the state's changes to the log, if there are any."""
        if self._fed:
            self._catch_up()
        changes = self.document.flush()
        if self._memory is not None and self._memory.changed:
            self._store_memory(self._memory)
        encoded = changes.operations
        if encoded:
            delta = changes.delta
            size = len(encoded) + len(delta) + ENTRY
            self._encoded = None
            self._grown += size
            self.written += 1
            self.written_bytes += len(encoded)
            self._append(OperationsEntry(self.log.revision + 1, encoded, changes.grew_at, delta), size)

    def learn(self, entry: Entry) -> None:
        """Append an entry that another process wrote, and the store has; `log.show` makes it visible.

        The state follows when it is next looked at, or when much has come.
        """
        size = size_of(entry)
        if type(entry) is OperationsEntry:
            self._fed.append(entry.operations)
            self._fed_bytes += size
            if self._fed_bytes > FED:
                self._catch_up()
        self.log.append(entry, size)
        if isinstance(entry, RunEntry):
            self.last_run = entry.run
            if entry.run.ended:
                self.log.end(entry.run.id)

    def _catch_up(self) -> None:
        """Apply the operations that the log has and the state has not."""
        fed, self._fed = self._fed, []
        document = self.document
        with document.lock:
            left, document.left = document.left, math.inf  # whoever wrote them has counted them
            try:
                for encoded in fed:
                    for operation in operations.decode(encoded):
                        document.apply(operation)
            finally:
                document.left = left
            document.flush()
        self._encoded = None
        self._grown += self._fed_bytes
        self._fed_bytes = 0

    @property
    def has_memory(self) -> bool:
        """Whether anything may be in the memory."""
        return self._memory is not None

    @property
    def memory(self) -> Memory:
        """What the agent keeps for itself on the thread, until its run ends."""
        if self._memory is None:
            self._memory = self._new_memory()
        return self._memory

    def remember(self, records: Sequence[Record]) -> None:
        """Take stored versions for the memory; the thread is new."""
        self._memory = self._new_memory(records) if records else None

    @property
    def answers(self) -> Answers:
        """The answers to the thread's questions that no run has taken."""
        return Answers(self.memory.slots)

    def _new_memory(self, records: Sequence[Record] = ()) -> Memory:
        limits = self._limits
        messages = self._messages()
        return Memory(self.document, messages, records=records, limit=limits.memory, versions=limits.memory_versions)

    def _messages(self) -> Messages | None:
        return None if self.agent.messages is None else Messages(self.document, self.agent.messages)

    def _store_memory(self, memory: Memory) -> None:
        """Store what has changed in the memory; the entries that follow are stored no earlier."""
        changes = [
            RecordErased(self.key, MEMORY, str(number))
            if data is None
            else RecordWritten(self.key, MEMORY, str(number), data)
            for number, data in memory.take()
        ]
        if changes:
            self.journal.add(*changes)

    def flush_from_anywhere(self) -> None:
        """Flush from any thread: at once on the event loop's, else soon."""
        if self.here:
            self.flush()
        else:
            self.loop.call_soon_threadsafe(self.flush)

    def emit(self, run_id: str, chunk: Chunk) -> None:
        """Append a chunk, after all earlier changes."""
        self.flush()
        entry = ChunkEntry(self.log.revision + 1, run_id, chunk)
        self._append(entry, size_of(entry))

    def record(self, run: RunState) -> None:
        """Append a run's new status."""
        self.flush()
        self.last_run = run
        self._append(RunEntry(self.log.revision + 1, run, int(time.time() * 1000)), ENTRY)
        if run.ended:
            self.log.end(run.id)

    def put_back(self, before: Json, memory: Sequence[Record]) -> None:
        """Change the state to what it was before, and the memory; a reader gets what differs. O(what differs)."""
        self.memory.restore(memory)
        for operation in operations.diff(self.document.plain(), before):
            self.document.apply(operation)

    def fence(self, run_id: str) -> None:
        """Take the state from a run that has ended: its code can still read the state, but not change it."""
        if self.gone:
            return
        with self.document.lock:
            self.flush()
            self.document = self.document.end(partial(RunEnded, run_id))
        self.document.wake = self._wake
        if self._memory is not None:
            self._memory = self._memory.following(self.document, self._messages())

    @property
    def rests(self) -> bool:
        """Whether the state is kept as JSON text."""
        return self.document.rests

    def rest(self) -> None:
        """Keep the state as JSON text until somebody looks at it. No run may be under way."""
        if not self.gone:
            with self.document.lock:
                self.flush()
                self._encoded = self.document.rest()
                self._size, self._grown = len(self._encoded), 0

    def retire(self, error: Callable[[], RequestError]) -> None:
        """Refuse further changes: the thread was deleted, moved, damaged or unloaded.

        Args:
            error: Makes what is raised where somebody would still change it.
        """
        if not self.gone:
            self.document.end(error)
            self._memory = None  # nothing more of it is stored
            self.log.close()

    def own(self, token: int) -> None:
        """Record that this process has claimed the thread, and may write to it."""
        self.owned, self.lease = True, token

    def release(self) -> None:
        """Record that this process gives up its claim; all that happened is stored."""
        self.owned, self.lease, self.released = False, None, self.lease

    def lose(self, error: Callable[[], RequestError]) -> LoggedState:
        """Take the state from whoever still changes it, since another process has claimed the thread.

        Return a place for what they do meanwhile, of which nothing is stored or shown.

        Args:
            error: Makes what is raised where somebody would still change the state.
        """
        self.owned, self.lease, self.released = False, None, None
        self.losses += 1
        nowhere = LoggedState(
            self.key, self.agent, Document(), journal=DiscardingJournal(self.journal), limits=self._limits
        )
        nowhere.last_run = self.last_run
        nowhere.retire(error)
        with self.document.lock:
            self.document = self.document.end(error)
        self._memory = None
        return nowhere

    def snapshot(self) -> tuple[int, bytes]:
        """Return the end of the log, and the state there as JSON."""
        with self.document.lock:  # no other thread may mutate between the two
            self.flush()
            if self._encoded is None:
                self._encoded = self.document.encode()
                self._size, self._grown = len(self._encoded), 0
            return self.log.revision, self._encoded

    def compact(self) -> None:
        """Replace the stored entries by a snapshot."""
        revision, state = self.snapshot()
        self.compact_to(revision, state, msgspec.json.encode(self.last_run))

    def compact_to(self, revision: int, state: bytes, run: bytes, *changes: RecordWritten | RecordErased) -> None:
        """Replace the stored entries up to a revision by a snapshot, together with other changes.

        Args:
            revision: Where.
            state: The state there, as JSON.
            run: The latest run there, as JSON.
            changes: What else is written.
        """
        self._uncompacted = 0
        self.journal.add(*changes, Compacted(self.key, revision, state, run))
        if self._unstored is not None:
            self._unstored.begin(revision, state, run)

    @property
    def unstored(self) -> Stretch | None:
        """The latest stretch of the log, if the store does not have it."""
        return None if self._unstored is None else self._unstored.stretch()

    def put_away(self) -> None:
        """Write to an instant store what only the thread has."""
        self.flush()
        if self._unstored is None:
            self.compact()
        else:
            self.journal.add(*self._unstored.put_away(self.key))

    def _hold(self, revision: int, state: bytes, run: bytes, *, written: int) -> None:
        """Hold the entries after the snapshot of an instant store, for a history."""
        if self._instant:
            self._unstored = Unstored(self.log, revision, state, run, written=written)
            self.log.on_drop = self._hold_dropped

    def _hold_dropped(self, entries: Sequence[Entry]) -> None:
        assert self._unstored is not None, "it was set before"
        self._unstored.add(entries)
        if self._unstored.size > max(self._limits.keep_bytes, 2 * self._size):
            self._shorten()

    def _shorten(self) -> None:
        """Compact the log: it has grown by twice the state's size."""
        self.compact()

    def _append(self, entry: Entry, size: int) -> None:
        self.log.append(entry, size)
        if self.on_entry is not None:
            self.on_entry()
        if self._instant:
            # An instant store holds nothing that the thread does not hold as well, until the thread is unloaded.
            self.log.show(entry.revision)
            return
        kind, data = write_entry(entry)
        is_open = not entry.run.ended if isinstance(entry, RunEntry) else None
        self._lane.add_entry(self.log, Appended(self.key, entry.revision, kind, data, is_open))
        self._uncompacted += size
        if self._uncompacted > max(self._limits.keep_bytes, 2 * self._size):
            self._uncompacted = 0
            self._shorten()

    def _wake(self) -> None:
        if threading.get_ident() == self._home:
            self.journal.turn.flush_soon(self)
        else:
            self.loop.call_soon_threadsafe(self.flush)
