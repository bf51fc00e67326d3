"""Files, in pieces: a file exists once all of its pieces are there.

Each upload has a hash of its own, whose fields are the numbers of its pieces. While they come it expires, so that
nothing stays of an upload that was cut off.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

from statecast.stores.errors import Damaged, StoreUnavailable
from statecast.stores.pieces import PIECE, in_pieces_of_one_size
from statecast.stores.records import File

from .engine import Confirm, Engine, value_of
from .keys import Keys
from .reading import pairs
from .scripts import FINISH, Command

__all__ = ["Files"]

#: Seconds after its last piece in which an upload is deleted unless another one comes.
WAIT: Final = 3_600

#: How often to begin again where the file is replaced meanwhile.
TRIES: Final = 5


class Files:
    """Reads and writes files.

    Args:
        engine: Where they are.
        keys: Names the keys.
    """

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys
        self.confirm: Confirm | None = None

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file, and return its size."""
        upload = secrets.token_hex(8).encode()
        count, size = 0, 0
        key = self._pieces(name, upload)
        try:
            async for piece in in_pieces_of_one_size(pieces):
                await self._do(name, ("HSET", key, count, piece))
                await self._do(name, ("EXPIRE", key, WAIT))
                count, size = count + 1, size + len(piece)
            for _ in range(TRIES):
                before = await self._upload(name)
                keys = [self._file(name), key, self._pieces(name, before)]
                values = (count, upload, before, type, "-" if owner is None else f"+{owner}", size)
                (reply,) = await self._engine.run([(self._slot(name), FINISH(keys, *values))], self.confirm)
                done = value_of(reply)
                if done == b"done" or (done == b"again" and await self._upload(name) == upload):
                    return size
                if done == b"gone":
                    raise StoreUnavailable("pieces of the file are missing")
            raise StoreUnavailable("the file is being replaced by others")
        except BaseException:
            await self._forget(name, key, upload)
            raise

    async def find(self, name: str) -> File | None:
        """Return a file without its bytes."""
        found = dict(pairs(await self._do(name, ("HGETALL", self._file(name)))))
        if not found:
            return None
        owner = found[b"owner"].decode()
        return File(name, found[b"type"].decode(), owner[1:] if owner[:1] == "+" else None, int(found[b"size"]))

    async def read(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file.

        Raises:
            Damaged: A piece is missing.
        """
        for _ in range(TRIES):
            upload = await self._upload(name)
            numbers = range(start // PIECE, (end - 1) // PIECE + 1)
            found = await self._do(name, ("HMGET", self._pieces(name, upload), *numbers))
            data = b"".join(piece for piece in found if piece is not None)
            first = numbers.start * PIECE
            if None not in found and first + len(data) >= end:
                return data[start - first : end - first]
            if upload == await self._upload(name):
                break
        raise Damaged(f'a piece of the file "{name}" is missing')

    async def delete(self, name: str) -> None:
        """Delete a file."""
        upload = await self._upload(name)
        await self._do(name, ("UNLINK", self._file(name), self._pieces(name, upload)))

    async def _forget(self, name: str, key: bytes, upload: bytes) -> None:
        """Delete the pieces of an upload that failed, unless it is the file all the same."""
        try:
            if await self._upload(name) != upload:
                await self._do(name, ("UNLINK", key))
        except StoreUnavailable:
            pass  # they expire

    async def _upload(self, name: str) -> bytes:
        """Return the upload that the file of a name is; empty if there is none."""
        return await self._do(name, ("HGET", self._file(name), "upload")) or b""

    async def _do(self, name: str, command: Command) -> Any:
        (reply,) = await self._engine.ask([(self._slot(name), command)])
        return reply

    def _slot(self, name: str) -> int:
        return self._keys.slots[self._keys.partition_of(name)]

    def _file(self, name: str) -> bytes:
        return self._keys.in_partition(self._keys.partition_of(name), b"file", name.encode())

    def _pieces(self, name: str, upload: bytes) -> bytes:
        return self._keys.in_partition(self._keys.partition_of(name), b"pieces", upload)
