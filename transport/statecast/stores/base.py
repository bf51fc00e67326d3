"""The seam between the engine and where threads are kept: what a store is told, and what it gives back.

A store keeps, for each thread, a snapshot of its state, the log's entries after it, the batches that wait in the inbox,
and which command ids were applied. Beside the threads it keeps what lists show of them, what clients note with them,
files, and the server's secrets. The engine decides what to write; a store only writes it, all of a batch or nothing.
Every store passes the same conformance tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Final, Literal, Protocol

import msgspec

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast_agents.chunks import Chunk

__all__ = [
    "Amended",
    "Appended",
    "Assigned",
    "BatchAccepted",
    "BatchApplied",
    "BatchSettled",
    "Change",
    "Compacted",
    "Created",
    "Deleted",
    "File",
    "Key",
    "Moved",
    "RecordErased",
    "RecordWritten",
    "SavedThread",
    "Store",
    "Summary",
    "SummaryChanged",
    "described",
    "read_entry",
    "write_entry",
]

Kind = Literal["operations", "chunk", "run"]


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


class BatchAccepted(msgspec.Struct, frozen=True):
    """A batch is in the inbox, until `BatchSettled` takes it out. `data` is the engine's own."""

    key: Key
    run_id: str
    data: bytes


class Amended(msgspec.Struct, frozen=True):
    """What the engine keeps of a batch in the inbox has changed; its place stays. It may have left the inbox."""

    key: Key
    run_id: str
    data: bytes


class BatchApplied(msgspec.Struct, frozen=True):
    """A command id stands for a command, by its digest, and for the run it led to."""

    key: Key
    command_id: str
    digest: bytes
    run_id: str


class BatchSettled(msgspec.Struct, frozen=True):
    """A batch has left the inbox."""

    key: Key
    run_id: str


class Compacted(msgspec.Struct, frozen=True):
    """The snapshot is now the state at `revision`; entries up to it go."""

    key: Key
    revision: int
    state: bytes
    run: bytes  #: the latest run, as the engine wrote it; null if there was none


class Assigned(msgspec.Struct, frozen=True):
    """The thread is now another agent's."""

    key: Key
    agent: str


class SummaryChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What lists show of a thread has changed; what is UNSET stays. The thread need not be there yet."""

    key: Key
    at: float  #: when; if nothing was known of it, it was made then
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    external_id: str | msgspec.UnsetType | None = msgspec.UNSET
    custom: bytes | msgspec.UnsetType = msgspec.UNSET  #: JSON
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    last: float | msgspec.UnsetType = msgspec.UNSET  #: when the last message came; at first `at`


class RecordWritten(msgspec.Struct, frozen=True):
    """Something is kept with a thread, in place of what was kept as its kind under its id. It need not be there yet."""

    key: Key
    kind: str
    id: str
    data: bytes


class RecordErased(msgspec.Struct, frozen=True):
    """It is not kept any more, if it was."""

    key: Key
    kind: str
    id: str


class Moved(msgspec.Struct, frozen=True):
    """The thread, and what is kept with it, is another owner's, who has none of its id."""

    key: Key
    owner: str | None


class Deleted(msgspec.Struct, frozen=True):
    """The thread is gone, with everything that belongs to it. One that is not there may be deleted all the same."""

    key: Key


Change = (
    Created
    | Appended
    | BatchAccepted
    | Amended
    | BatchApplied
    | BatchSettled
    | Compacted
    | Assigned
    | SummaryChanged
    | RecordWritten
    | RecordErased
    | Moved
    | Deleted
)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What lists show of a thread. Times are seconds since the epoch."""

    key: Key
    created: float
    updated: float
    last: float  #: when the last message came
    archived: bool = False
    title: str | None = None
    external_id: str | None = None
    custom: bytes = b"null"  #: JSON


def described(summary: Summary | None, change: SummaryChanged) -> Summary:
    """Return a thread's card after a change; None: it has none yet."""
    fresh = {name: getattr(change, name) for name in ("title", "external_id", "custom", "archived", "last")}
    fresh = {name: value for name, value in fresh.items() if value is not msgspec.UNSET}
    before = summary or Summary(key=change.key, created=change.at, updated=change.at, last=change.at)
    return msgspec.structs.replace(before, updated=change.at, **fresh)


class File(msgspec.Struct, frozen=True):
    """A file that somebody has uploaded."""

    name: str  #: unique
    type: str  #: its media type
    owner: str | None
    size: int  #: bytes


class SavedThread(msgspec.Struct, frozen=True):
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

    async def probe(self) -> None:
        """Show that changes would be taken now, by writing something that nobody reads.

        Raises:
            StoreUnavailable: They would not.
        """

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Write changes at once; instant stores only.

        Raises:
            ChangeRefused: None was written, and one of them never will be.
        """

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes durably, all or none.

        Raises:
            StoreUnavailable: None was written; the engine tries again.
            ChangeRefused: None was written, and one of them never will be; the engine finds out which thread's.
        """

    async def load(self, key: Key) -> SavedThread | None:
        """Return what is kept of a thread; None if it is not known.

        Raises:
            Damaged: It is known, and cannot be read any more. It can be deleted.
            StoreUnavailable: It could not be read now.
        """

    async def unsettled(self) -> list[Key]:
        """Return the threads that have batches in the inbox, or a run that began and has not ended.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return threads, of either kind, not written to for so many seconds.

        Of a lasting one, its card counts as well; there may be nothing but a card. The seconds are those in which the
        store was open, so that no clock that jumps makes a thread idle. See `Clock`.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def summary(self, key: Key) -> Summary | None:
        """Return what lists show of a thread; None if there is nothing to show.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def listed(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return an owner's cards, the one with the latest message first, and of two at one time the greater id.

        Args:
            owner: Whose.
            archived: Only those that are, or are not; None: all.
            before: Only what comes after the card with this `last` and thread id.
            limit: How many at most.

        Raises:
            StoreUnavailable: They could not be read.
        """

    async def named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the card of an owner's with this `external_id`, of several the oldest; None if there is none.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def is_owned(self, thread_id: str) -> bool:
        """Whether there is a card of this id that is somebody's.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def notes(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return ids and data of what is noted of a kind, in the order in which each id was first noted.

        Raises:
            Damaged: One cannot be read any more.
            StoreUnavailable: They could not be read now.
        """

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return the secret of a name, and keep `fresh` as such before if there is none: the same for ever after.

        One that cannot be read any more is replaced by `fresh`.

        Raises:
            StoreUnavailable: It could not be read, or kept.
        """

    async def keep_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Keep a file whose bytes come in pieces, and return how many they were; in place of one of the same name.

        It is there when all of it is. Whatever `pieces` raises is raised here, and then nothing is kept.

        Raises:
            StoreUnavailable: It was not kept.
        """

    async def file(self, name: str) -> File | None:
        """Return what is known of a file; None if there is none of that name.

        Raises:
            Damaged: It cannot be read any more.
            StoreUnavailable: It could not be read now.
        """

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of a file from one up to another, without reading the others.

        Raises:
            Damaged: They cannot be read, or there is no such file any more.
            StoreUnavailable: They could not be read now.
        """

    async def drop_file(self, name: str) -> None:
        """Keep a file no longer, if there is one.

        Raises:
            StoreUnavailable: It is still kept.
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
