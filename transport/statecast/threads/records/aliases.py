"""Aliases: under which ids clients have the state's messages, stored with a thread so that they are matched once.

They are found by words when a history is first read after both sides have a message, and joined by id afterwards.
Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from statecast.history.matching import Alias
from statecast.protocol.errors import RequestError
from statecast.stores import Key, RecordErased, RecordWritten

from .directory import Directory

__all__ = ["Aliases"]

#: The kind of records: each is the client's message that one of the state's is, in a form.
ALIAS: Final = "alias"

_decode: Final = msgspec.json.Decoder(Alias).decode
_encode: Final = msgspec.json.Encoder().encode


class Aliases:
    """Reads and writes the aliases of threads.

    Args:
        directory: Where they are kept.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def read(self, key: Key, format: str | None) -> dict[str, Alias]:
        """Return what is known for clients that read a form, or every form, by the state's ids."""
        start = _name("", format)
        found = await self._directory.read(key, ALIAS, _decode)
        return {name.removeprefix(start): alias for name, alias in found if name.startswith(start)}

    async def write(self, key: Key, format: str | None, found: Mapping[str, Alias], *, gone: Collection[str]) -> None:
        """Store what was found for a form, and delete the aliases of messages that are `gone`.

        Aliases that cannot be stored are found again when the history is read next.
        """
        changes = [RecordWritten(key, ALIAS, _name(id, format), _encode(alias)) for id, alias in found.items()]
        with contextlib.suppress(RequestError):
            await self._directory.record(key, *changes, *(RecordErased(key, ALIAS, _name(id, format)) for id in gone))

    async def deletions(self, key: Key, id: str) -> list[RecordErased]:
        """Return the changes that delete the aliases of a client's message, so that it is matched again."""
        found = await self._directory.read(key, ALIAS, _decode)
        return [RecordErased(key, ALIAS, name) for name, alias in found if alias.id == id]


def _name(id: str, format: str | None) -> str:
    return f"{format or ''} {id}"
