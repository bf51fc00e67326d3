"""The past: what a thread was at earlier revisions, as far back as its log and its history reach."""

from __future__ import annotations

from typing import Final

from statecast.stores import Damaged, Key, StoreUnavailable

from .errors import RevisionGone, UnknownRevision
from .log.segments import INDEX, Segment, read_index, segment_kind, unpack
from .log.stretch import Point, Stretch
from .offload import offload
from .registry import Registry
from .thread import Thread

__all__ = ["Past"]

#: How often a segment is looked for that a compaction may be moving meanwhile.
TRIES: Final = 5


class Past:
    """Reads the past of threads.

    Args:
        registry: The threads.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def begins(self, thread: Thread) -> int:
        """Return the first revision whose state is known.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`.
        """
        index = await self._index(thread.key)
        if index:
            return index[0].begin
        latest = await self._latest(thread)
        return thread.log.revision if latest is None else latest.revision

    async def first(self, thread: Thread) -> Stretch:
        """Return the first stretch whose state is known.

        Raises:
            RequestError: `revision_gone`, where the oldest keep going meanwhile; `store_unavailable`; `thread_damaged`.
        """
        for _ in range(TRIES):
            begins = await self.begins(thread)
            try:
                return await self.stretch(thread, begins)
            except RevisionGone as error:
                gone = error
        raise gone

    async def stretch(self, thread: Thread, revision: int) -> Stretch:
        """Return a stretch that has a revision, and what follows it as far as there is anything.

        Raises:
            RequestError: `revision_gone`; `store_unavailable`; `thread_damaged`.
        """
        for _ in range(TRIES):
            index = await self._index(thread.key)
            segment = next((one for one in index if one.begin <= revision < one.end), None)
            found = await self._latest(thread) if segment is None else await self._segment(thread.key, segment)
            if found is not None and found.revision <= revision <= found.end:
                return found
            if index and revision < index[0].begin:
                break
        begins = await self.begins(thread)
        raise RevisionGone(
            f"expected a revision from {begins} on, got {revision}, which is no longer stored", begins=begins
        )

    async def point(self, thread: Thread, revision: int) -> Point:
        """Return what a thread was at a revision.

        Raises:
            RequestError: `unknown_revision` for one that is yet to come; `revision_gone` for one that is gone;
                `store_unavailable`; `thread_damaged`.
        """
        now, state = await self._registry.snapshot(thread)
        if revision == now:
            return Point(now, state, thread.last_run)
        if revision > now:
            raise UnknownRevision(f"expected a revision up to {now}, the thread's last, got {revision}", limit=now)
        stretch = await self.stretch(thread, revision)
        try:
            return await offload(stretch.size, stretch.point, revision)
        except Exception as error:  # as of what is restored
            raise self._registry.damaged(thread.key, error) from None

    async def _latest(self, thread: Thread) -> Stretch | None:
        """Return the latest stretch; None if there is none of a thread in memory."""
        if self._registry.store.instant:
            return thread.unstored
        try:
            saved = await self._registry.store.load(thread.key)
        except Damaged as error:
            raise self._registry.damaged(thread.key, error) from None
        return None if saved is None else Stretch.of(saved)

    async def _index(self, key: Key) -> list[Segment]:
        try:
            return read_index(await self._registry.store.records(key, INDEX))
        except StoreUnavailable:
            raise
        except Exception as error:  # as of what is read
            raise self._registry.damaged(key, error) from None

    async def _segment(self, key: Key, segment: Segment) -> Stretch | None:
        """Return a segment; None if it is not there any more."""
        try:
            found = await self._registry.store.records(key, segment_kind(segment.begin))
            return await offload(segment.size, unpack, found[0][1]) if found else None
        except StoreUnavailable:
            raise
        except Exception as error:  # as of what is read
            raise self._registry.damaged(key, error) from None
