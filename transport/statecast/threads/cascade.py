"""Belongings: what is kept elsewhere and goes with a thread, such as the files that its messages name.

What they are is not known here: who keeps them is given all texts of the thread before it goes.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from statecast.stores import Damaged, Key, RecordWritten, StoreUnavailable

from .refusals import unavailable
from .registry import Registry

__all__ = ["FORMER", "MESSAGE", "Cascade", "Forget", "former"]

#: Kinds of notes: what clients have written of messages, and whose a thread was before it became its owner's.
MESSAGE: Final = "message"
FORMER: Final = "former"

_T = TypeVar("_T")

#: Drops what texts (JSON) name and one of some owners has.
Forget = Callable[[Iterable[bytes], Collection[str | None]], Awaitable[None]]


class Cascade:
    """Lets what belongs to threads go with them.

    Args:
        registry: The threads.
    """

    def __init__(self, registry: Registry) -> None:
        self.forget: Forget | None = None  #: whom to tell
        self._registry = registry

    async def go(self, key: Key) -> None:
        """Drop what belongs to a thread that is about to go, as far as what is kept of the thread can be read.

        Raises:
            RequestError: `store_unavailable`; then the thread is to stay, so that this can be tried again.
        """
        if self.forget is None:
            return
        store, thread = self._registry.store, self._registry.get(key)
        try:
            messages = [data for _, data in await _readable(store.notes(key, MESSAGE)) or ()]
            owners = [key.owner, *(id for id, _ in await _readable(store.notes(key, FORMER)) or ())]
            if thread is not None:
                texts = [thread.snapshot()[1]]
            else:
                saved = await _readable(store.load(key))
                texts = [] if saved is None else [saved.state, *(data for _, _, data in saved.entries)]
            await self.forget(itertools.chain(texts, messages), owners)
        except StoreUnavailable:
            raise unavailable() from None


async def _readable(reading: Awaitable[_T]) -> _T | None:
    """Return what is read; None if it is damaged."""
    try:
        return await reading
    except Damaged:
        return None


def former(key: Key, to: Key) -> list[RecordWritten]:
    """Return the note that what belongs to a thread that moves is still its former owner's."""
    return [] if key.owner is None else [RecordWritten(to, FORMER, key.owner, b"{}")]
