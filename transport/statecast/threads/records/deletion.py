"""Deletion of threads, and their move to another owner.

A thread's run is stopped first, so that nothing is written to a deleted thread.
"""

from __future__ import annotations

from typing import Final

from statecast.stores import Damaged, Deleted, Key, Moved, Summary
from statecast.threads.errors import AgentMismatch, ThreadDamaged, UnknownThread
from statecast.threads.registry import Registry
from statecast.threads.scheduler import Scheduler
from statecast.threads.thread import Thread

from .cascade import Cascade, former

__all__ = ["Deletion"]

#: Threads that are moved between two looks at the store.
PAGE: Final = 256


class Deletion:
    """Deletes and moves threads.

    Args:
        registry: The threads.
        runs: Their runs.
        belongings: What goes with them.
    """

    def __init__(self, registry: Registry, runs: Scheduler, cascade: Cascade) -> None:
        self._cascade = cascade
        self._registry = registry
        self._runs = runs

    async def delete(self, key: Key) -> None:
        """Delete a thread, its summary and its records; cancel its run and end its streams.

        Raises:
            RequestError: `unknown_thread`; `store_unavailable`.
        """
        async with self._registry.alone(key):
            await self._registry.wait_stored()
            thread = await self._stopped(key)
            if thread is None and not await self._is_stored(key):
                raise UnknownThread(key.thread_id)
            await self._cascade.go(key)
            self._registry.remove_stored(Deleted(key))
            if thread is not None:
                self._registry.remove(thread)
            await self._registry.wait_stored_through_outages()

    async def move(self, owner: str | None, to: str | None) -> int:
        """Move all threads of an owner to another, and return their number; ids that the other has already stay.

        Raises:
            RequestError: `store_unavailable`.
        """
        moved, before = 0, None
        await self._registry.wait_stored()
        while summaries := await self._listed(owner, before):
            for summary in summaries:
                moved += await self._move(summary.key, to)
            before = summaries[-1].last, summaries[-1].key.thread_id
        return moved

    async def _move(self, key: Key, owner: str | None) -> bool:
        to = Key(owner, key.thread_id)
        # In one order, whichever way they go: two that cross are not to wait for each other.
        first, second = sorted((key, to), key=lambda one: (one.owner is None, one.owner or ""))
        async with self._registry.alone(first), self._registry.alone(second):
            if await self._registry.find(to) is not None or await self._is_stored(to):
                return False
            thread = await self._stopped(key)
            if thread is not None and self._registry.store.instant:
                thread.compact()  # what only the thread has
            self._registry.remove_stored(Moved(key, owner))
            self._registry.journal.add(*former(key, to))
            if thread is not None:
                self._registry.remove(thread)  # who follows it comes again, if it may
            await self._registry.wait_stored_through_outages()
        return True

    async def _stopped(self, key: Key) -> Thread | None:
        """Stop a thread's run and drop its queue, and return the thread; None if only the summary exists."""
        try:
            thread = await self._registry.find(key)
        except (AgentMismatch, ThreadDamaged):  # nothing runs on such a thread
            return None
        if thread is None:
            return None
        while thread.inbox or thread.active is not None:  # what came while a run was stopping goes as well
            self._runs.cancel_queued(thread, *thread.inbox)
            if thread.active is not None:
                thread.active.cancel()
                await self._runs.ended(thread.active)  # in time: what does not stop is left behind
        return thread

    async def _is_stored(self, key: Key) -> bool:
        try:
            store = self._registry.store
            return await store.summary(key) is not None or await store.load(key) is not None
        except Damaged:
            return True

    async def _listed(self, owner: str | None, before: tuple[float, str] | None) -> list[Summary]:
        return await self._registry.store.summaries(owner, before=before, limit=PAGE)
