"""Files in the store, beside the threads: nothing to set up."""

from __future__ import annotations

from collections.abc import AsyncIterator

from statecast.stores import Store

from .base import Found

__all__ = ["StoreFiles"]


class _Stored:
    """Reads parts of a file in a store."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def part(self, start: int, end: int) -> bytes:
        return await self._store.read_file(self._name, start, end)


class StoreFiles:
    """Keeps files in a store.

    Args:
        store: The store, which somebody else opens.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Keep a file: its bytes go to the store as they come."""
        return await self._store.write_file(name, type, owner, pieces)

    async def find(self, name: str) -> Found | None:
        """Return a file."""
        file = await self._store.file(name)
        return None if file is None else Found(name, file.type, file.owner, file.size, _Stored(self._store, name))

    async def read(self, name: str) -> bytes | None:
        """Return what a file holds."""
        file = await self._store.file(name)
        return None if file is None else await self._store.read_file(name, 0, file.size)

    async def drop(self, name: str) -> None:
        """Keep a file no longer."""
        await self._store.delete_file(name)
