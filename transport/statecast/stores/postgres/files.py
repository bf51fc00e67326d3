"""Uploaded files in the PostgreSQL store, in pieces: a file has its name once all of its pieces are written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from statecast.stores.errors import ChangeRefused, Damaged, StoreUnavailable
from statecast.stores.pieces import PIECE, in_pieces_of_one_size
from statecast.stores.records import File

from . import statements
from .columns import owner_name, owner_of, read_text, write_text
from .connections import Connections

__all__ = ["Files"]

#: Pieces that are deleted in one statement.
AT_ONCE: Final = 16

#: Seconds after which a file that is not whole belongs to a process that has ended.
LEFT: Final = 86_400.0

#: Tries to give a file its name while others give it to theirs.
TRIES: Final = 3


class Files:
    """The files of a store.

    Args:
        connections: To the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file: each piece as it comes."""
        ((number,),) = await self._connections.fetch(statements.BEGIN_FILE)
        size = 0
        try:
            async for piece in in_pieces_of_one_size(pieces):
                await self._connections.fetch(statements.PUT_PIECE, (number, size, piece))
                size += len(piece)
            replaced = await self._finish(number, File(name, type, owner, size))
        except BaseException:
            await asyncio.shield(self._drop(number))
            raise
        if replaced is not None:
            await self._drop(replaced)
        return size

    async def find(self, name: str) -> File | None:
        """Return a file without its bytes."""
        rows = await self._connections.fetch(statements.FILE, (write_text(name),))
        return File(name, read_text(rows[0][0]), owner_of(rows[0][1]), rows[0][2]) if rows else None

    async def read(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of a file from `start` up to `end`.

        Raises:
            Damaged: A piece is missing.
        """
        values = {"name": write_text(name), "start": start, "end": end, "piece": PIECE}
        found: list[bytes] = []
        at = start
        for place, data in await self._connections.fetch(statements.READ_FILE, values):
            if place == at:
                found.append(data)
                at += len(data)
        if at < end:
            raise Damaged(f'a piece of the file "{name}" is missing after its first {at} bytes')
        return b"".join(found)

    async def delete(self, name: str) -> None:
        """Delete a file: it is gone at once, and its pieces some at a time."""
        for (number,) in await self._connections.fetch(statements.UNLINK_FILE, (write_text(name),)):
            await self._drop(number)

    async def drop_left_over(self) -> None:
        """Delete what is left of files that were not written to their end, or not deleted to theirs."""
        for (number,) in await self._connections.fetch(statements.LEFT_FILES, (LEFT,)):
            await self._drop(number)

    async def _finish(self, number: int, file: File) -> int | None:
        """Give a file its name; return the number of the one that had it."""
        name = write_text(file.name)
        values = (name, write_text(file.type), owner_name(file.owner), file.size, number)
        for tried in range(TRIES):
            try:
                async with self._connections.borrow() as connection, connection.transaction():
                    unlink = self._connections.named(statements.UNLINK_FILE)
                    before = await (await connection.execute(unlink, (name,))).fetchone()
                    await connection.execute(self._connections.named(statements.FINISH_FILE), values)
                return None if before is None else before[0]
            except ChangeRefused:  # another one was given the name meanwhile
                if tried + 1 == TRIES:
                    raise
        raise AssertionError("each try returns or raises")

    async def _drop(self, number: int) -> None:
        with contextlib.suppress(StoreUnavailable):  # what is left is deleted later
            while await self._connections.count(statements.DROP_PIECES, (number, number, AT_ONCE)) == AT_ONCE:
                pass
            await self._connections.fetch(statements.DROP_FILE, (number,))
