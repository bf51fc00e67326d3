"""The seam between the engine and where threads are kept: what a store is told, and what it gives back.

A store keeps, for each thread, a snapshot of its state, the log's entries after it, the batches that wait in the inbox,
and which command ids were applied. The engine decides what to write; a store only writes it, all of a batch or nothing.
Every store passes the same conformance tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Protocol

import msgspec

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast_agents.chunks import Chunk

__all__ = [
    "Accepted",
    "Appended",
    "Applied",
    "Change",
    "Compacted",
    "Created",
    "Key",
    "Saved",
    "Settled",
    "Store",
    "StoreUnavailable",
    "read_entry",
    "write_entry",
]

Kind = Literal["operations", "chunk", "run"]


class StoreUnavailable(Exception):
    """The store could not be reached, or could not write. Nothing of the batch was written."""


class Key(msgspec.Struct, frozen=True):
    """Whose thread, and which."""

    owner: str | None
    thread_id: str


class Created(msgspec.Struct, frozen=True):
    """A thread is new. Its snapshot is its first state, at revision 0."""

    key: Key
    agent: str
    epoch: str
    lasting: bool
    state: bytes


class Appended(msgspec.Struct, frozen=True, gc=False):
    """An entry was appended to the log."""

    key: Key
    revision: int
    kind: Kind
    data: bytes
    open: bool | None = None  #: of a run's entry, whether the run goes on after it


class Accepted(msgspec.Struct, frozen=True):
    """A batch is in the inbox, until `Settled` takes it out. `data` is the engine's own."""

    key: Key
    run_id: str
    data: bytes


class Applied(msgspec.Struct, frozen=True):
    """A command id stands for a command, by its digest, and for the run it led to."""

    key: Key
    command_id: str
    digest: bytes
    run_id: str


class Settled(msgspec.Struct, frozen=True):
    """A batch has left the inbox."""

    key: Key
    run_id: str


class Compacted(msgspec.Struct, frozen=True):
    """The snapshot is now the state at `revision`; entries up to it go."""

    key: Key
    revision: int
    state: bytes
    run: bytes  #: the latest run, as the engine wrote it; null if there was none


class Deleted(msgspec.Struct, frozen=True):
    """The thread is gone, with everything that belongs to it. One that is not there may be deleted all the same."""

    key: Key


Change = Created | Appended | Accepted | Applied | Settled | Compacted | Deleted


class Saved(msgspec.Struct, frozen=True):
    """All that a store holds of a thread."""

    key: Key
    agent: str
    epoch: str
    lasting: bool
    revision: int  #: of the snapshot
    state: bytes
    run: bytes  #: the latest run at the snapshot
    entries: Sequence[tuple[int, Kind, bytes]]  #: after the snapshot, in order
    inbox: Sequence[tuple[str, bytes]]  #: run id and data, in the order accepted
    applied: dict[str, tuple[bytes, str]]  #: command id → digest, run id


class Store(Protocol):
    """Where threads are kept.

    `instant` stores keep threads in memory alone: `commit_nowait` is called for every change, and nothing waits.
    Others are given batches, one at a time, of everything that became ready since the last.
    """

    instant: ClassVar[bool]

    async def open(self) -> None:
        """Make the store ready.

        Raises:
            StoreUnavailable: It cannot be reached, or is another process's.
        """

    async def aclose(self) -> None:
        """Let go of what `open` took."""

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Write changes at once; instant stores only."""

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes durably, all or none.

        Raises:
            StoreUnavailable: None was written; the engine tries again.
        """

    async def load(self, key: Key) -> Saved | None:
        """Return what is kept of a thread; None if it is not known.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def unsettled(self) -> list[Key]:
        """Return the threads that have batches in the inbox, or a run that began and has not ended.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def idle_since(self, before: float, *, lasting: bool) -> list[Key]:
        """Return threads last written to before a time (seconds since the epoch), of either kind.

        Raises:
            StoreUnavailable: It could not be read.
        """


_encode: Final = msgspec.json.Encoder().encode
_chunk: Final = msgspec.json.Decoder(tuple[str, Chunk])
_run: Final = msgspec.json.Decoder(RunState)


def write_entry(entry: Entry) -> tuple[Kind, bytes]:
    """Return an entry's kind and its bytes; operations are bytes already."""
    if type(entry) is OperationsEntry:
        return "operations", entry.operations
    if type(entry) is ChunkEntry:
        return "chunk", _encode((entry.run_id, entry.chunk))
    assert isinstance(entry, RunEntry)
    return "run", _encode(entry.run)


def read_entry(revision: int, kind: Kind, data: bytes) -> Entry:
    """Return the entry that `write_entry` wrote."""
    if kind == "operations":
        return OperationsEntry(revision, data)
    if kind == "chunk":
        run_id, chunk = _chunk.decode(data)
        return ChunkEntry(revision, run_id, chunk)
    return RunEntry(revision, _run.decode(data))
