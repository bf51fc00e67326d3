"""`Files`: the contract of where uploaded files are stored. Every implementation passes the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

__all__ = ["Files", "Found", "Link", "RangeReader"]

#: Returns a URL that serves a file from elsewhere, given its Content-Disposition, and for how many seconds.
Link: TypeAlias = Callable[[str, int], str]


class RangeReader(Protocol):
    """Reads parts of a file that is neither in memory nor in the file system."""

    async def part(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`.

        Raises:
            Damaged: They cannot be read.
            StoreUnavailable: Nothing can be read now.
        """


class Found(msgspec.Struct, frozen=True):
    """A file that is stored."""

    name: str
    type: str  #: its media type
    owner: str | None  #: who uploaded it
    size: int  #: bytes
    content: bytes | Path | RangeReader | Link  #: itself, or where it is


class Files(Protocol):
    """Stores files. Their names are made by `fresh_name`."""

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a new file, and return its size in bytes.

        What `pieces` raises is raised here, and nothing is stored then.

        Raises:
            StoreUnavailable: It was not stored.
        """

    async def find(self, name: str) -> Found | None:
        """Return a file; None if there is none of that name.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, for agents; None if there is none of that name.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def delete(self, name: str) -> None:
        """Delete a file, if there is one of that name.

        Raises:
            StoreUnavailable: It was not deleted.
        """
