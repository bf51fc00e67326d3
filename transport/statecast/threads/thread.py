"""A thread: a state, its log, the inbox of batches that wait, and the readers that follow.

Everything here happens on the event loop's thread and without awaiting, so that what a reader sees at a revision is
what the state was. Mutations may come from other threads; they are flushed here.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from statecast.protocol import ChunkEntry, Cursor, Encoder, OperationsEntry, RunEntry, RunError, RunState
from statecast_agents import Agent, Document
from statecast_agents.chunks import Chunk

from .limits import Limits
from .log import Log
from .readers import Reader

if TYPE_CHECKING:
    from .run import Execution

__all__ = ["Thread"]


class Thread:
    """One conversation: the unit that is numbered, followed and kept.

    Args:
        id: The thread's id.
        agent: The agent that runs on it.
        document: Its state.
        owner: Whose it is; None where the app knows no owners.
        lasting: Whether a client can name it; if not, it is gone soon after its last run.
        limits: What its log keeps, and how large its state may grow.
    """

    def __init__(
        self,
        id: str,
        agent: Agent,
        document: Document,
        *,
        owner: str | None = None,
        lasting: bool = True,
        limits: Limits,
    ) -> None:
        self.id = id
        self.agent = agent
        self.owner = owner
        self.lasting = lasting
        self.document = document
        self.epoch = secrets.token_hex(6)
        self.log = Log(keep_entries=limits.keep_entries, keep_bytes=limits.keep_bytes)
        self.loop = asyncio.get_running_loop()
        self.active: Execution | None = None
        self.inbox: deque[Execution] = deque()
        self.applied: dict[str, tuple[bytes, str]] = {}  #: command id → digest of the command, run id
        self.last_run: RunState | None = None
        self.used = time.monotonic()
        self._limits = limits
        self._readers: set[Reader] = set()
        self._home = threading.get_ident()
        self._encoded: bytes | None = None  #: until the state changes
        self._grown = 0  #: bytes of operations since the state's size was last known
        self._size = 0
        document.flush()
        document.wake = self._wake

    @property
    def cursor(self) -> Cursor:
        """The end of the log."""
        return Cursor(self.epoch, self.log.revision)

    @property
    def readers(self) -> int:
        """How many follow."""
        return len(self._readers)

    def is_live(self, run_id: str) -> bool:
        """Whether that run is queued or under way."""
        if self.active is not None and self.active.id == run_id:
            return True
        return any(waiting.id == run_id for waiting in self.inbox)

    def flush(self) -> None:
        """Append what has changed in the state to the log, if anything has."""
        operations = self.document.flush()
        if operations:
            self._encoded = None
            self._grown += len(operations)
            self._append(OperationsEntry(self.log.revision + 1, operations))
            if self._size + self._grown > self._limits.state:
                self._check_size()

    def emit(self, run_id: str, chunk: Chunk) -> None:
        """Append a chunk, behind everything that was changed before it. From any thread."""
        if threading.get_ident() != self._home:
            self.loop.call_soon_threadsafe(self.emit, run_id, chunk)
            return
        self.flush()
        self._append(ChunkEntry(self.log.revision + 1, run_id, chunk))

    def record(self, run: RunState) -> None:
        """Append what became of a run."""
        self.flush()
        self.last_run = run
        self._append(RunEntry(self.log.revision + 1, run))

    def flush_from_anywhere(self) -> None:
        """Flush, from any thread: at once on the event loop's, soon from another."""
        if threading.get_ident() == self._home:
            self.flush()
        else:
            self.loop.call_soon_threadsafe(self.flush)

    def encoded(self) -> bytes:
        """Return the state at the end of the log as JSON; flush first."""
        if self._encoded is None:
            self._encoded = self.document.encode()
        return self._encoded

    def follow(self, encoder: Encoder, *, revision: int, snapshot: bool = False, until: str | None = None) -> Reader:
        """Add a reader; `leave` removes it."""
        reader = Reader(
            self, encoder, revision=revision, snapshot=snapshot, until=until, send_bytes=self._limits.send_bytes
        )
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self._readers.discard(reader)
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

    def close_readers(self) -> None:
        """End every stream early."""
        for reader in self._readers:
            reader.close()

    def _append(self, entry: OperationsEntry | ChunkEntry | RunEntry) -> None:
        self.log.append(entry, (reader.revision for reader in self._readers))
        for reader in self._readers:
            reader.wake()

    def _check_size(self) -> None:
        """Fail the run whose state outgrew its limit. Measured only when enough was written that it could have."""
        self._size, self._grown = len(self.document.encode()), 0
        if self._size > self._limits.state and self.active is not None:
            message = f"The state grew beyond {self._limits.state} bytes."
            self.active.fail(RunError("state_too_large", message))

    def _wake(self) -> None:
        if threading.get_ident() == self._home:
            self.loop.call_soon(self.flush)
        else:
            self.loop.call_soon_threadsafe(self.flush)
