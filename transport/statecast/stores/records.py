"""The second contract of a store: what is beside the logs: summaries, records, files and secrets.

A summary is what lists show of a thread. A record is a piece of data of the engine's, kept with a thread under a kind
and an id: a message that a client wrote, feedback, a run lease. There may be both without a log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from .key import Key

__all__ = [
    "File",
    "RecordChange",
    "RecordErased",
    "RecordStore",
    "RecordWritten",
    "Summary",
    "SummaryChanged",
    "summary_after",
]


class SummaryChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Fields of a thread's summary have changed, all that are not UNSET. The thread need not exist."""

    key: Key
    at: float  #: when; a summary that is new was created then
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    external_id: str | msgspec.UnsetType | None = msgspec.UNSET
    custom: bytes | msgspec.UnsetType = msgspec.UNSET  #: JSON
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    last: float | msgspec.UnsetType = msgspec.UNSET  #: when the last message came; of a new summary, `at`


class RecordWritten(msgspec.Struct, frozen=True, tag=True):
    """A record was written, in place of the one of its kind and id if there is one. The thread need not exist."""

    key: Key
    kind: str
    id: str
    data: bytes


class RecordErased(msgspec.Struct, frozen=True, tag=True):
    """A record was deleted, if it exists."""

    key: Key
    kind: str
    id: str


RecordChange = SummaryChanged | RecordWritten | RecordErased


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What lists show of a thread. Times are seconds since 1970."""

    key: Key
    created: float
    updated: float
    last: float  #: when the last message came
    archived: bool = False
    title: str | None = None
    external_id: str | None = None
    custom: bytes = b"null"  #: JSON


def summary_after(summary: Summary | None, change: SummaryChanged) -> Summary:
    """Return a summary after a change; `summary` is None if the thread has none yet."""
    fresh = {name: getattr(change, name) for name in ("title", "external_id", "custom", "archived", "last")}
    fresh = {name: value for name, value in fresh.items() if value is not msgspec.UNSET}
    before = summary or Summary(key=change.key, created=change.at, updated=change.at, last=change.at)
    return msgspec.structs.replace(before, updated=change.at, **fresh)


class File(msgspec.Struct, frozen=True):
    """A file that was uploaded."""

    name: str  #: unique
    type: str  #: its media type
    owner: str | None
    size: int  #: bytes


class RecordStore(Protocol):
    """Reads summaries and records; reads and writes files and secrets."""

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread; None if it has none.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, ordered by `last` and thread id, the greatest first.

        Args:
            owner: The owner of the threads.
            archived: Whether to return only the archived ones, or only the others; None: all.
            before: Return only those that come after this `last` and thread id.
            limit: Summaries at most.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this `external_id`; None if there is none.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return the ids and the data of a thread's records of a kind, in the order in which each id was first written.

        Raises:
            Damaged: A record cannot be read.
            StoreUnavailable: Nothing can be read now.
        """

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return the secret of a name. If there is none, or it cannot be read, `fresh` becomes the secret.

        Raises:
            StoreUnavailable: It could not be read or written.
        """

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file, in place of the one of its name if there is one, and return its size in bytes.

        Readers see it when all of it is written. What `pieces` raises is raised here, and nothing is written then.

        Raises:
            StoreUnavailable: It was not written.
        """

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes; None if there is none of that name.

        Raises:
            Damaged: The file cannot be read.
            StoreUnavailable: Nothing can be read now.
        """

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of a file from `start` up to `end`, without reading the others.

        Raises:
            Damaged: They cannot be read, or the file was deleted.
            StoreUnavailable: Nothing can be read now.
        """

    async def delete_file(self, name: str) -> None:
        """Delete a file, if there is one of that name.

        Raises:
            StoreUnavailable: It was not deleted.
        """
