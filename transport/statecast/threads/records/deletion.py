"""Deletion of threads, and their move to another owner.

A thread's run is stopped first, so that nothing is written to a deleted thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from statecast.stores import Damaged, Deleted, Key, Moved, SharedChange, Summary
from statecast.threads.errors import AgentMismatch, LeaseLost, ThreadDamaged, UnknownThread
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

    async def delete(self, key: Key, *, taken: Callable[[], Sequence[SharedChange]]) -> None:
        """Delete a thread, its summary and its records; cancel its run and end its streams.

        Args:
            key: The thread.
            taken: Returns what is stored together with the deletion.

        Raises:
            HeldElsewhere: Another process has claimed the thread.
            RequestError: `unknown_thread`; `store_unavailable`; `lease_lost`: another process has claimed it meanwhile.
        """
        async with self._registry.alone(key):
            await self._registry.wait_stored()
            thread = await self._stopped(key)
            token = self._registry.token_of(key)
            if thread is None and not await self._is_stored(key):
                raise UnknownThread(key.thread_id)
            await self._cascade.go(key)
            self._registry.remove_stored(Deleted(key))
            self._registry.journal.add(*taken())
            if thread is not None:
                self._registry.remove(thread)
            await self._registry.wait_stored_through_outages()
            if self._registry.token_of(key) != token:
                raise LeaseLost()

    async def of(self, owner: str | None) -> AsyncIterator[Key]:
        """Yield the threads of an owner, which may be moved meanwhile.

        Raises:
            RequestError: `store_unavailable`.
        """
        before = None
        await self._registry.wait_stored()
        while summaries := await self._listed(owner, before):
            for summary in summaries:
                yield summary.key
            before = summaries[-1].last, summaries[-1].key.thread_id

    async def move(self, key: Key, owner: str | None, *, taken: Callable[[bool], Sequence[SharedChange]]) -> bool:
        """Move a thread to another owner, and return whether it was: not if they have one of its id already.

        Args:
            key: The thread.
            owner: The other owner.
            taken: Returns what is stored together with the move, or without one.

        Raises:
            HeldElsewhere: Another process has claimed the thread.
            RequestError: `store_unavailable`; `lease_lost`: another process has claimed it meanwhile, or holds the
                thread that it would become.
        """
        to = Key(owner, key.thread_id)
        # In one order, whichever way they go: two that cross are not to wait for each other.
        first, second = sorted((key, to), key=lambda one: (one.owner is None, one.owner or ""))
        async with self._registry.alone(first), self._registry.alone(second):
            if await self._registry.find(to) is not None or await self._is_stored(to):
                self._registry.journal.add(*taken(False))
                return False
            thread = await self._stopped(key)
            token = self._registry.token_of(key)
            if thread is not None and self._registry.store.instant:
                thread.put_away()  # what only the thread has
            self._registry.remove_stored(Moved(key, owner))
            self._registry.journal.add(*former(key, to), *taken(True))
            if thread is not None:
                self._registry.remove(thread)  # who follows it comes again, if it may
            await self._registry.wait_stored_through_outages()
            if self._registry.token_of(key) != token:
                raise LeaseLost()
        return True

    async def _stopped(self, key: Key) -> Thread | None:
        """Stop a thread's run and drop its queue, and return the thread; None if only the summary exists."""
        try:
            thread = await self._registry.own(key)
        except (AgentMismatch, ThreadDamaged):  # nothing runs on such a thread
            await self._registry.hold(key)
            return None
        if thread is not None:
            await self.stop(thread)
        return thread

    async def stop(self, thread: Thread) -> None:
        """Stop a thread's run and drop its queue.

        Raises:
            RequestError: `lease_lost`: another process has claimed the thread meanwhile.
        """
        while thread.inbox or thread.active is not None:  # what came while a run was stopping goes as well
            if not thread.owned:
                raise LeaseLost()
            self._runs.cancel_queued(thread, *thread.inbox)
            if thread.active is not None:
                thread.active.cancel()
                await self._runs.ended(thread.active)  # in time: what does not stop is left behind

    async def _is_stored(self, key: Key) -> bool:
        try:
            store = self._registry.store
            return await store.summary(key) is not None or await store.load(key) is not None
        except Damaged:
            return True

    async def _listed(self, owner: str | None, before: tuple[float, str] | None) -> list[Summary]:
        return await self._registry.store.summaries(owner, before=before, limit=PAGE)
