"""Cascade: data stored elsewhere that is deleted with a thread, such as the files that its messages name.

This module does not know what the data is: its owner receives all texts of a thread before the thread is deleted.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from statecast.stores import Damaged, Key, RecordWritten
from statecast.threads.registry import Registry

__all__ = ["FORMER", "MESSAGE", "Cascade", "DeleteNamed", "former"]

#: Kinds of records: what clients have written of messages, and whose a thread was before it became its owner's.
MESSAGE: Final = "message"
FORMER: Final = "former"

_T = TypeVar("_T")

#: Drops what texts (JSON) name and one of some owners has.
DeleteNamed = Callable[[Iterable[bytes], Collection[str | None]], Awaitable[None]]


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
        store, thread = self._registry.store, self._registry.get(key)
        messages = [data for _, data in await _readable(store.records(key, MESSAGE)) or ()]
        owners = [key.owner, *(id for id, _ in await _readable(store.records(key, FORMER)) or ())]
        if thread is not None:
            texts = [thread.snapshot()[1]]
        else:
            saved = await _readable(store.load(key))
            texts = [] if saved is None else [saved.state, *(data for _, _, data in saved.entries)]
        await self.delete_named(itertools.chain(texts, messages), owners)


async def _readable(reading: Awaitable[_T]) -> _T | None:
    """Return what `read` returns; None if the thread is damaged."""
    try:
        return await reading
    except Damaged:
        return None


def former(key: Key, to: Key) -> list[RecordWritten]:
    """Return the record that a moved thread's data still belongs to its former owner."""
    return [] if key.owner is None else [RecordWritten(to, FORMER, key.owner, b"{}")]
