"""Files in the store, beside the threads: nothing to set up, and each of them in memory while it comes and goes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from statecast.stores import File, Store

from .seam import Found

__all__ = ["StoreFiles"]


class StoreFiles:
    """Keeps files in a store.

    Args:
        store: The store, which somebody else opens.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Keep a file."""
        data = b"".join([piece async for piece in pieces])
        await self._store.keep_file(File(name, type, data, owner))
        return len(data)

    async def find(self, name: str) -> Found | None:
        """Return a file."""
        file = await self._store.file(name)
        return None if file is None else Found(name, file.type, file.owner, len(file.data), file.data)

    async def read(self, name: str) -> bytes | None:
        """Return what a file holds."""
        file = await self._store.file(name)
        return None if file is None else file.data

    async def drop(self, name: str) -> None:
        """Keep a file no longer."""
        await self._store.drop_file(name)
