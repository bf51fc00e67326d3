"""Files in the store, beside the threads: nothing to set up."""

from __future__ import annotations

from collections.abc import AsyncIterator

from statecast.stores import Store

from .base import Found

__all__ = ["StoreFiles"]


class _StoredParts:
    """Reads parts of a file in a store."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def part(self, start: int, end: int) -> bytes:
        return await self._store.read_file(self._name, start, end)


class StoreFiles:
    """Stores files in the store of the threads.

    Args:
        store: The store, which somebody else opens.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file, each piece as it comes."""
        return await self._store.write_file(name, type, owner, pieces)

    async def find(self, name: str) -> Found | None:
        """Return a file."""
        file = await self._store.file(name)
        return None if file is None else Found(name, file.type, file.owner, file.size, _StoredParts(self._store, name))

    async def read(self, name: str) -> bytes | None:
        """Return the bytes of a file."""
        file = await self._store.file(name)
        return None if file is None else await self._store.read_file(name, 0, file.size)

    async def delete(self, name: str) -> None:
        """Delete a file."""
        await self._store.delete_file(name)
