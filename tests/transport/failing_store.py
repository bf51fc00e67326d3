"""A store that fails on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import anyio

from statecast.stores import Change, Durability, File, Key, MemoryStore, SavedThread, Store, StoreUnavailable, Summary


class Failing:
    """A store whose commits wait, and fail, on demand. What it commits, another keeps."""

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = False

    def __init__(self, store: Store | None = None) -> None:
        self.kept = store or MemoryStore()
        self.broken = False
        self.go = anyio.Event()  #: commits wait for it
        self.go.set()
        self.commits = 0
        self.changes: list[Change] = []  #: all that were kept, in their order
        self.loaded: list[SavedThread] = []

    async def open(self) -> None:
        await self.kept.open()

    async def aclose(self) -> None:
        await self.kept.aclose()

    async def probe(self) -> None:
        if self.broken:
            raise StoreUnavailable("the store is broken")

    async def durability(self) -> Durability | None:
        return await self.kept.durability()

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        raise TypeError("this store is not instant")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        return False

    async def commit(self, changes: Sequence[Change]) -> None:
        self.commits += 1
        await self.go.wait()
        self.check()
        await self.kept.commit(changes)
        self.changes += changes

    async def load(self, key: Key) -> SavedThread | None:
        self.check()
        saved = await self.kept.load(key)
        self.loaded += [saved] if saved is not None else []
        return saved

    async def unfinished(self) -> list[Key]:
        self.check()
        return await self.kept.unfinished()

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        self.check()
        return await self.kept.idle_for(seconds, lasting=lasting)

    async def summary(self, key: Key) -> Summary | None:
        self.check()
        return await self.kept.summary(key)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        self.check()
        return await self.kept.summaries(owner, archived=archived, before=before, limit=limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        self.check()
        return await self.kept.summary_named(owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        self.check()
        return await self.kept.is_owned(thread_id)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        self.check()
        return await self.kept.records(key, kind)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        self.check()
        return await self.kept.secret(name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        self.check()
        return await self.kept.write_file(name, type, owner, pieces)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        self.check()
        return await self.kept.read_file(name, start, end)

    async def file(self, name: str) -> File | None:
        self.check()
        return await self.kept.file(name)

    async def delete_file(self, name: str) -> None:
        self.check()
        await self.kept.delete_file(name)

    def check(self) -> None:
        """Fail if it is broken."""
        if self.broken:
            raise StoreUnavailable("the disk is full")
