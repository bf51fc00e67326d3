"""`IncomingFile`: a file that arrives in calls, for a store that reads it piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

__all__ = ["IncomingFile"]


class IncomingFile:
    """A file that is being written.

    Args:
        write: Writes the pieces that it is given to the store, and returns their bytes in all.
    """

    def __init__(self, write: Callable[[AsyncIterator[bytes]], Awaitable[int]]) -> None:
        self._pieces, arriving = anyio.create_memory_object_stream[bytes](0)

        async def writing() -> int:
            with arriving:
                return await write(arriving)

        self._writing = asyncio.get_running_loop().create_task(writing())

    async def add(self, piece: bytes) -> None:
        """Add a piece, once the store has read the one before.

        Raises:
            StoreUnavailable: The file cannot be written.
        """
        try:
            await self._pieces.send(piece)
        except anyio.BrokenResourceError:
            await self._writing
            raise

    async def finish(self) -> int:
        """Return the bytes of the file, which is stored.

        Raises:
            StoreUnavailable: It was not written.
        """
        self._pieces.close()
        return await self._writing

    def drop(self) -> None:
        """Write nothing."""
        self._pieces.close()
        self._writing.cancel()
