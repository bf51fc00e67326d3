"""Cascade: data stored elsewhere that is deleted with a thread, such as the files that its messages name.

This module does not know what the data is: its owner receives all texts of a thread before the thread is deleted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from statecast.stores import Damaged, Key, RecordWritten
from statecast.threads.registry import Registry

__all__ = ["DELETED", "FORMER", "MESSAGE", "NAMED", "RELATED", "Cascade", "DeleteNamed", "former", "named_mark"]

#: Kinds of records: what clients have written of messages, and whose a thread was before it became its owner's.
MESSAGE: Final = "message"
FORMER: Final = "former"

#: Kinds of records, of what clients have written: which message has an id from elsewhere, in a form; and of a message
#: that the agent's state still has, that it is hidden, though what was written of it stays.
NAMED: Final = "named"
DELETED: Final = "deleted"

#: The kind of the records that name other threads with the same files: copies of a thread, and what they are copies of.
RELATED: Final = "related"

_T = TypeVar("_T")

#: Drops what texts (JSON) name and one of some owners has, but for what other texts name as well.
DeleteNamed = Callable[[Iterable[bytes], Collection[str | None], AsyncGenerator[bytes, None]], Awaitable[None]]


class Cascade:
    """Delete data that belongs to a thread together with the thread.

    Args:
        registry: The threads.
    """

    def __init__(self, registry: Registry) -> None:
        self.delete_named: DeleteNamed | None = None  #: whom to tell
        self._registry = registry

    async def go(self, key: Key) -> None:
        """Delete the data of a thread that is about to be deleted, as far as the thread can be read.

        Raises:
            RequestError: `store_unavailable`; then the thread is to stay, so that this can be tried again.
        """
        if self.delete_named is None:
            return
        store = self._registry.store
        owners = [key.owner, *(id for id, _ in await _readable(store.records(key, FORMER)) or ())]
        await self.delete_named(await self._texts(key), owners, self._spared(key))

    async def _spared(self, key: Key) -> AsyncGenerator[bytes, None]:
        """Yield the texts of the threads that share files with a thread, one thread's at a time."""
        for id, _ in await _readable(self._registry.store.records(key, RELATED)) or ():
            for text in await self._texts(Key(key.owner, id)):
                yield text

    async def _texts(self, key: Key) -> list[bytes]:
        """Return all texts of a thread, as far as it can be read."""
        store, thread = self._registry.store, self._registry.get(key)
        messages = [data for _, data in await _readable(store.records(key, MESSAGE)) or ()]
        if thread is not None:
            return [thread.snapshot()[1], *messages]
        saved = await _readable(store.load(key))
        return messages if saved is None else [saved.state, *(data for _, _, data in saved.entries), *messages]


async def _readable(reading: Awaitable[_T]) -> _T | None:
    """Return what `read` returns; None if the thread is damaged."""
    try:
        return await reading
    except Damaged:
        return None


def former(key: Key, to: Key) -> list[RecordWritten]:
    """Return the record that a moved thread's data still belongs to its former owner."""
    return [] if key.owner is None else [RecordWritten(to, FORMER, key.owner, b"{}")]


def named_mark(external_id: str, format: str) -> str:
    """Return the id of the record that says which message has an id from elsewhere."""
    return f"{format} {external_id}"
