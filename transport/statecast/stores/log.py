"""The first contract of a store: the log of a thread, its snapshot, its inbox, and the ids of applied commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from .key import Key

__all__ = [
    "MEMORY",
    "Altered",
    "Appended",
    "Assigned",
    "BatchAccepted",
    "BatchApplied",
    "BatchChanged",
    "BatchSettled",
    "Compacted",
    "Created",
    "Kind",
    "LogStore",
    "Renewed",
    "SavedThread",
]

Kind = Literal["operations", "chunk", "run"]

#: The kind of the records that are loaded with a thread: what its agent keeps for itself.
MEMORY: Final = "memory"


class Created(msgspec.Struct, frozen=True, tag=True):
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


class BatchAccepted(msgspec.Struct, frozen=True, tag=True):
    """A batch was accepted: it is in the inbox until `BatchSettled`. Only the engine reads `data`."""

    key: Key
    run_id: str
    data: bytes


class BatchChanged(msgspec.Struct, frozen=True, tag=True):
    """The data of a batch has changed, not its place in the inbox. If the batch has left the inbox, nothing changes."""

    key: Key
    run_id: str
    data: bytes


class BatchApplied(msgspec.Struct, frozen=True, tag=True):
    """A command with an id was applied: its digest, and the run that it led to."""

    key: Key
    command_id: str
    digest: bytes
    run_id: str


class BatchSettled(msgspec.Struct, frozen=True, tag=True):
    """A batch has left the inbox."""

    key: Key
    run_id: str


class Compacted(msgspec.Struct, frozen=True, tag=True):
    """The snapshot is now the state at `revision`; the entries up to it are deleted."""

    key: Key
    revision: int
    state: bytes
    run: bytes  #: the latest run, as the engine wrote it; null if there was none


class Assigned(msgspec.Struct, frozen=True, tag=True):
    """The thread belongs to another agent now."""

    key: Key
    agent: str


class Renewed(msgspec.Struct, frozen=True, tag=True):
    """The log has a new epoch: cursors of the old one may name entries that were lost."""

    key: Key
    epoch: str


#: Changes of a thread that is there, but the entries that are appended to it.
Altered = BatchAccepted | BatchChanged | BatchApplied | BatchSettled | Compacted | Assigned | Renewed


class SavedThread(msgspec.Struct, frozen=True):
    """All that a store has of a thread, but its summary and its other records."""

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
    memory: Sequence[tuple[str, bytes]]  #: its records of the kind `MEMORY`, as `records` returns them


class LogStore(Protocol):
    """Reads threads. Their changes are committed with all others, see `Store`."""

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread; None if there is no such thread.

        Raises:
            Damaged: The thread cannot be read. It can be deleted.
            StoreUnavailable: Nothing can be read now.
        """

    async def unfinished(self) -> list[Key]:
        """Return the threads that have batches in the inbox, or a run that has begun and not ended.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """
