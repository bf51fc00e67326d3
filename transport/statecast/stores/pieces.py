"""Uploaded files in pieces of one size, as stores that have them in a database write and read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

__all__ = ["PIECE", "in_pieces_of_one_size"]

#: Bytes of a piece. While one is written or read, nobody else can write in some stores.
PIECE: Final = 2**18


async def in_pieces_of_one_size(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of `PIECE` bytes; the last one may be shorter."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
