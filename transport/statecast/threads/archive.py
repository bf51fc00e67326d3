"""The archive: what compaction takes out of a log is kept as history, within `Limits.history_entries` and `_bytes`.

A log that has grown is read back from the store and written as a segment, in one batch with the compaction. So a token
costs nothing more, and a crash leaves either the entries or the segment.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

import msgspec

from statecast.protocol.errors import RequestError
from statecast.stores import Damaged

from .log.segments import INDEX, pack_within, read_index, with_segment
from .log.stretch import Stretch
from .offload import offload
from .registry import Registry
from .thread import Thread

__all__ = ["Archive"]

#: How many times as large as a history a stretch may be that is compressed for it.
COMPRESSES: Final = 4

_log: Final = logging.getLogger("statecast")


class Archive:
    """Compacts logs, and keeps what they lose.

    Args:
        registry: The threads.
        most: Entries that a history may have.
        most_bytes: Bytes that it may take.
    """

    def __init__(self, registry: Registry, *, most: int, most_bytes: int) -> None:
        self._registry = registry
        self._most = most
        self._most_bytes = most_bytes
        self._due: dict[Thread, None] = {}
        self._ready = asyncio.Event()

    def take(self, thread: Thread) -> None:
        """Compact a thread's log soon."""
        self._due[thread] = None
        self._ready.set()

    async def run(self) -> None:
        """Compact logs, one after the other, until cancelled."""
        self._ready = asyncio.Event()  # of this event loop
        self._due.clear()
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._due:
                thread = next(iter(self._due))
                del self._due[thread]
                try:
                    await self._compact(thread)
                except RequestError as error:  # the log stays as it is until it has grown again
                    _log.warning("the log of the thread %r is not compacted now: %s", thread.id, error)
                except Exception:
                    _log.exception("the log of the thread %r could not be compacted", thread.id)

    async def _compact(self, thread: Thread) -> None:
        if not self._has(thread):
            return
        losses = thread.losses
        revision, state = thread.snapshot()
        run = msgspec.json.encode(thread.last_run)
        if 3 * len(state) > COMPRESSES * self._most_bytes:  # as much as a log may grow, and its first state
            thread.compact()
            return
        stretch = thread.unstored or await self._stored(thread)
        entries = [entry for entry in stretch.entries if entry[0] <= revision]
        stretch = msgspec.structs.replace(stretch, entries=entries)
        pack = partial(pack_within, stretch, most=self._most, most_bytes=self._most_bytes)
        stretch, data = await offload(stretch.size, pack)
        key = thread.key
        index = read_index(await self._registry.store.records(key, INDEX))
        if self._has(thread) and thread.losses == losses and stretch.end == revision:
            changes = with_segment(key, index, stretch, data, most=self._most, most_bytes=self._most_bytes)
            thread.compact_to(revision, state, run, *changes)

    def _has(self, thread: Thread) -> bool:
        return not thread.gone and thread.owned and thread.stored and self._registry.get(thread.key) is thread

    async def _stored(self, thread: Thread) -> Stretch:
        """Return the latest stretch of a thread as it is stored.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`.
        """
        await self._registry.wait_stored(thread.key)
        try:
            saved = await self._registry.store.load(thread.key)
        except Damaged as error:
            raise self._registry.damaged(thread.key, error) from None
        if saved is None:
            raise self._registry.damaged(thread.key, Damaged("it is gone"))
        return Stretch.of(saved)
