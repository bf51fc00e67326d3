"""The seam between the endpoints and where files are kept. Every place passes the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

__all__ = ["Files", "Found", "Link", "Parts"]

#: Returns a URL that serves a file from elsewhere, given its Content-Disposition, and for how many seconds.
Link: TypeAlias = Callable[[str, int], str]


class Parts(Protocol):
    """Reads parts of a file that is neither in memory nor a file of the system's."""

    async def part(self, start: int, end: int) -> bytes:
        """Return the bytes from one up to another.

        Raises:
            Damaged: They cannot be read any more.
            StoreUnavailable: They could not be read now.
        """


class Found(msgspec.Struct, frozen=True):
    """A file that is kept."""

    name: str
    type: str  #: its media type
    owner: str | None  #: who uploaded it
    size: int  #: bytes
    content: bytes | Path | Parts | Link  #: itself, or where it is


class Files(Protocol):
    """Where files are kept. Names are those of `fresh_name`."""

    async def keep(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Keep a file whose bytes come in pieces, and return how many they were. There is none of that name yet.

        Whatever `pieces` raises is raised here, and then nothing is kept.

        Raises:
            StoreUnavailable: It was not kept.
        """

    async def find(self, name: str) -> Found | None:
        """Return a file; None if there is none of that name.

        Raises:
            StoreUnavailable: It could not be looked up.
        """

    async def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is none of that name. For agents.

        Raises:
            StoreUnavailable: It could not be read.
        """

    async def drop(self, name: str) -> None:
        """Keep a file no longer, if there is one.

        Raises:
            StoreUnavailable: It is still kept.
        """
