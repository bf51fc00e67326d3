"""Directory: what is stored beside the threads' logs. Summaries, which lists show, and records.

Nothing is cached in memory. A summary may exist before its thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from statecast.protocol.errors import RequestError
from statecast.stores import (
    Change,
    Damaged,
    Key,
    RecordErased,
    RecordWritten,
    StoreUnavailable,
    Summary,
    SummaryChanged,
)
from statecast.threads.registry import Registry

__all__ = ["MAX_FIELD", "Directory"]

#: Bytes, as JSON, of what an app keeps in a field of a summary, or a user writes in feedback.
MAX_FIELD: Final = 2**16

#: The thread id of the records of an owner; no thread has it.
NO_THREAD: Final = ""

_T = TypeVar("_T")


class Directory:
    """The summaries and records of all threads.

    Everything may raise `StoreUnavailable`.

    Args:
        registry: The threads.
        start: Opens the store, if it is not open yet.
    """

    def __init__(self, registry: Registry, start: Callable[[], Awaitable[None]]) -> None:
        self._registry = registry
        self._start = start

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return an owner's summaries, the thread with the latest message first.

        Args:
            owner: Whose.
            archived: Only those that are, or are not; None: all.
            before: Only what comes after the summary with this `last` and thread id.
            limit: How many at most.
        """
        await self._wait_stored()
        return await self._registry.store.summaries(owner, archived=archived, before=before, limit=limit)

    async def find(self, key: Key) -> Summary | None:
        """Return a thread's summary; None if the owner has no such thread."""
        await self._wait_stored()
        return await self._registry.store.summary(key)

    async def get(self, key: Key) -> Summary:
        """Return a thread's summary.

        Raises:
            RequestError: `unknown_thread`.
        """
        await self._start()
        return await self._registry.summary(key)

    async def named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the owner's oldest summary with an external id; None if there is none."""
        await self._wait_stored()
        return await self._registry.store.summary_named(owner, external_id)

    def alone(self, owner: str | None, name: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Serialize requests that look something up for an owner and create it if it is missing."""
        return self._registry.alone(Key(owner, f" {name}"))  # no thread has such an id

    async def describe(self, change: SummaryChanged, *, new: bool = False) -> None:
        """Change a summary; with `new`, create it if it is missing.

        Raises:
            RequestError: `unknown_thread`.
        """
        await self._write(change.key, change, new=new)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind, the oldest first.

        Raises:
            RequestError: `thread_damaged`.
        """
        await self._wait_stored()
        try:
            return await self._registry.store.records(key, kind)
        except Damaged as error:
            raise self._registry.damaged(key, error) from None

    async def read(self, key: Key, kind: str, decode: Callable[[bytes], _T]) -> list[tuple[str, _T]]:
        """Return a thread's records of a kind, decoded.

        Raises:
            RequestError: `thread_damaged`.
        """
        return [(id, self.decoded(key, decode, data)) for id, data in await self.records(key, kind)]

    def decoded(self, key: Key, decode: Callable[[bytes], _T], data: bytes) -> _T:
        """Return a thread's record, decoded.

        Raises:
            RequestError: `thread_damaged`.
        """
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            raise self._registry.damaged(key, error) from None

    async def write(self, key: Key, kind: str, id: str, data: bytes, *, message: bool = False) -> None:
        """Write a record of a thread; with `message`, the record is a message and updates the thread's time.

        Raises:
            RequestError: `unknown_thread`.
        """
        now = time.time()
        touched = SummaryChanged(key=key, at=now, last=now) if message else SummaryChanged(key=key, at=now)
        await self._write(key, RecordWritten(key, kind, id, data), touched)

    async def change(self, key: Key, *changes: RecordWritten | RecordErased) -> None:
        """Write and erase records of a thread, all or none.

        Raises:
            RequestError: `unknown_thread`.
        """
        if changes:
            await self._write(key, *changes, SummaryChanged(key=key, at=time.time()))

    async def record(self, key: Key, *changes: RecordWritten | RecordErased) -> None:
        """Write and erase records, as `change`, but leave the thread's time as it is.

        Raises:
            RequestError: `unknown_thread`.
        """
        await self._write(key, *changes)

    async def recall(self, owner: str, name: str) -> bytes | None:
        """Return an owner's value of a name; None if there is none."""
        found = await self.records(Key(owner, NO_THREAD), name)
        return found[0][1] if found else None

    async def remember(self, owner: str, name: str, data: bytes) -> None:
        """Set an owner's value of a name."""
        key = Key(owner, NO_THREAD)
        await self._write(key, RecordWritten(key, name, "", data), new=True)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return the server's secret of a name; store `fresh` if there is none."""
        await self._start()
        return await self._registry.store.secret(name, fresh)

    async def _write(self, key: Key, *changes: Change, new: bool = False) -> None:
        await self._start()
        async with self._registry.alone(key):  # so that nothing of it comes back that is deleted meanwhile
            self._registry.check(key)
            if not new:
                await self.get(key)
            if self._registry.journal.failing is not None:
                raise StoreUnavailable()
            self._registry.journal.add(*changes)
        try:
            await self._registry.wait_stored(key)
        except RequestError:
            self._registry.journal.withdraw(changes)
            raise

    async def _wait_stored(self) -> None:
        await self._start()
        await self._registry.wait_stored()
