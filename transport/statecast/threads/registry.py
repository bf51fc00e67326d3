"""Registry: the threads in memory, and those in the store.

A thread is loaded from the store when it is asked for, and unloaded when it has been idle for a while.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, Final

from statecast import stores
from statecast.protocol import RunError
from statecast.protocol.errors import RequestError
from statecast.stores import Damaged, Key, SavedThread, Store, StoreUnavailable, Summary
from statecast_agents import Agent, Document, new_id

from .errors import AgentMismatch, LeaseLost, ThreadDamaged, UnknownThread
from .limits import Limits
from .log.journal import Journal
from .observer import Observers
from .thread import Thread
from .turns import Turns

__all__ = ["Registry"]

#: Seconds beyond their time after which nameless threads of an earlier process are deleted.
LEFT_BEHIND: Final = 120.0

#: Threads that one sweep deletes, of each kind.
AT_ONCE: Final = 1_000

#: Seconds without a run after which a state rests as JSON text. Until then the next run finds it decoded.
RESTS_AFTER: Final = 10.0

#: Bytes, as JSON, of the states that idle threads may hold decoded, which takes several times as much memory.
HELD: Final = 32 * 2**20

#: Queues the stored batches of a thread's inbox again: run ids, and the encoded batches.
RestoreInbox = Callable[[Thread, Sequence[tuple[str, bytes]]], None]


#: The turn of a request that waits for nobody, and nobody for it.
_FREE: Final = nullcontext()

_log: Final = logging.getLogger("statecast")


class Registry:
    """The threads of a server.

    Args:
        store: Where they are kept.
        agents: The agents by name.
        limits: How long they stay.
        restore_inbox: Called with each thread that is taken from the store.
        clock: A monotonic clock, in seconds; threads and runs count by it.
        observer: Learns of commits.
    """

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, Agent],
        limits: Limits,
        restore_inbox: RestoreInbox,
        *,
        clock: Callable[[], float] = time.monotonic,
        observer: Observers | None = None,
    ) -> None:
        self.store = store
        self.observer = observer or Observers()
        self.process = new_id("proc")  #: the id of this process, as long as it serves
        self.clock = clock
        self.journal = Journal(store, self._refused, observer=self.observer)
        self._agents = agents
        self._limits = limits
        self._restore_inbox = restore_inbox
        self._threads: dict[Key, Thread] = {}
        self._turns = Turns()  #: at opening threads, or writing to them
        self._damaged: set[Key] = set()  #: those that the log has named
        self._removed = 0  #: how often threads were removed from the store
        #: called with a thread whose time is over, before it goes; None: nothing goes with it
        self.cascade: Callable[[Key], Awaitable[None]] | None = None
        #: called with a thread whose log is to be compacted, and to be kept as history; None: no history is kept
        self.archive: Callable[[Thread], None] | None = None

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def claimed(self) -> int:
        """The number of threads that this process has claimed, where other processes may have others."""
        return 0

    def __iter__(self) -> Iterator[Thread]:
        return iter(list(self._threads.values()))

    def get(self, key: Key) -> Thread | None:
        """Return a thread that is in memory."""
        return self._threads.get(key)

    def make(self, key: Key, agent: Agent, document: Document, *, lasting: bool = True) -> Thread:
        """Make a new thread, which `add` adds.

        Args:
            key: Whose it is, and its id.
            agent: The agent that runs on it.
            document: Its state.
            lasting: Whether a client can name it.
        """
        return Thread(
            key,
            agent,
            document,
            journal=self.journal,
            limits=self._limits,
            lasting=lasting,
            epoch=self.new_epoch(),
            clock=self.clock,
            archive=self.archive,
        )

    def new_epoch(self) -> str:
        """Return an epoch that no log has had."""
        return os.urandom(6).hex()

    def begin_epoch(self, thread: Thread) -> None:
        """Begin a new epoch of a thread's log; a store that no other process has loses nothing."""

    def add(self, thread: Thread) -> None:
        """Add a new thread."""
        self._threads[thread.key] = thread

    def remove(self, thread: Thread) -> None:
        """Remove a thread from memory; references to it can change nothing any more."""
        if self._threads.get(thread.key) is thread:
            del self._threads[thread.key]
        thread.retire(partial(UnknownThread, thread.id))

    async def open(self) -> None:
        """Open the store.

        Raises:
            StoreUnavailable: It cannot be opened.
        """
        await self.store.open()

    async def aclose(self) -> None:
        """Close the store."""
        await self.store.aclose()

    def tasks(self, stopping: Callable[[], bool]) -> list[Coroutine[Any, Any, None]]:
        """Return what is to run as long as the server does; `stopping` returns whether it begins nothing any more."""
        return [self.journal.run()]

    async def take_up(self, keys: Collection[Key]) -> None:
        """Go on with what was left on threads."""
        for key in keys:
            try:
                await self.find(key)
            except RequestError as error:
                _log.warning("the thread %r is left as it is: %s", key.thread_id, error)

    async def hand_over(self) -> None:
        """Leave what does not run to other processes: this one begins nothing any more."""

    async def tend(self, now: float) -> None:
        """Unload threads that have been idle, and have others rest; `now` is the clock's."""
        self.unload_idle(now)
        await self.rest_idle(now)

    def restart(self) -> None:
        """Reset for another event loop: what was in memory ended with the earlier one."""
        for thread in self:
            self._unload(thread)
        self._turns = Turns()
        self.process = new_id("proc")
        self.journal = Journal(self.store, self._refused, observer=self.observer)

    def one_at_a_time(self, key: Key) -> AbstractAsyncContextManager[None]:
        """Let one request at a time look up and open a thread: of two first requests, one is adopted."""
        thread = self._threads.get(key)
        is_here = thread is not None and thread.owned  # what another process had may turn out to be gone
        return _FREE if is_here and key not in self._turns else self._turns.of(key)

    def alone(self, key: Key) -> AbstractAsyncContextManager[None]:
        """Keep requests from opening a thread or writing to it."""
        return self._turns.of(key)

    async def find(self, key: Key) -> Thread | None:
        """Return a thread from memory or the store; None if neither has it.

        Raises:
            RequestError: `agent_mismatch` if its agent is not served; `thread_damaged` if its data cannot be read;
                `store_unavailable`.
        """
        while True:
            self.check(key)
            thread = self._threads.get(key)
            if thread is not None:
                thread.touch()
                return thread if thread.stored else None  # a crash could still take it back
            removed = self._removed
            await self.wait_stored()  # it may have been deleted, and the store not know yet
            try:
                saved = await self.store.load(key)
            except Damaged as error:
                raise self.damaged(key, error) from None
            if key not in self._threads and self._removed == removed:
                break  # else another request was faster, or it may be gone by now
        return None if saved is None else self._restored(saved)

    async def own(self, key: Key) -> Thread | None:
        """Return a thread that this process may write to, as it is now; None if there is no such thread.

        The thread is claimed, whether it exists or not. It stays this process's for a second at least.

        Raises:
            HeldElsewhere: Another process has claimed it.
            RequestError: As for `find`; `lease_lost`: another process has claimed it meanwhile.
        """
        return await self.find(key)  # there is no other process

    def token_of(self, key: Key) -> int | None:
        """Return the token under which this process writes to a thread; None where no other process has the store."""
        return None

    async def hold(self, key: Key) -> None:
        """Claim a thread without reading it, because it cannot be read.

        Raises:
            HeldElsewhere: Another process has claimed it.
            RequestError: `store_unavailable`.
        """

    async def reserve(self, key: Key) -> None:
        """As `own`, of a key that no thread can have, since nobody else knows it."""

    def _restored(self, saved: SavedThread) -> Thread:
        """Restore a stored thread, with its runs."""
        agent = self._agent_of(saved)
        try:
            thread = self._restore(saved, agent)
            self._threads[saved.key] = thread
            self._restore_inbox(thread, saved.inbox)
        except Exception as error:  # whatever is wrong with one stored thread must not affect the others
            self._threads.pop(saved.key, None)
            raise self.damaged(saved.key, error) from None
        return thread

    def _restore(self, saved: SavedThread, agent: Agent) -> Thread:
        return Thread.restore(
            saved, agent, journal=self.journal, limits=self._limits, clock=self.clock, archive=self.archive
        )

    def _agent_of(self, saved: SavedThread) -> Agent:
        """Return the agent of a stored thread.

        Raises:
            RequestError: `agent_mismatch`.
        """
        return self.agent_named(saved.agent)

    def agent_named(self, name: str) -> Agent:
        """Return the agent of a thread.

        Raises:
            RequestError: `agent_mismatch`.
        """
        agent = self._agents.get(name)
        if agent is None:
            message = f'the thread belongs to the agent "{name}", which is not served here'
            raise AgentMismatch(message)
        return agent

    def damaged(self, key: Key, error: Exception) -> RequestError:
        """Return the error for a thread whose stored data cannot be read; log it once per thread."""
        if key not in self._damaged:
            self._damaged.add(key)
            whose = "" if key.owner is None else f" of {key.owner!r}"
            _log.error("the thread %r%s is damaged, and cannot be used: %s", key.thread_id, whose, error)
        return ThreadDamaged(key.thread_id)

    async def summary(self, key: Key) -> Summary:
        """Return a thread's summary.

        Raises:
            RequestError: `unknown_thread`; `store_unavailable`.
        """
        await self.wait_stored()
        summary = await self.store.summary(key)
        if summary is None:
            raise UnknownThread(key.thread_id)
        return summary

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread of this id belongs to an owner.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self.wait_stored()
        return await self.store.is_owned(thread_id)

    async def snapshot(self, thread: Thread) -> tuple[int, bytes]:
        """Return the end of a thread's log and the state there as JSON, once stored.

        Raises:
            RequestError: `store_unavailable`; `lease_lost`: another process has claimed the thread before it was.
        """
        found, losses = thread.snapshot(), thread.losses
        await self.wait_stored()
        if thread.losses != losses:
            raise LeaseLost()
        return found

    async def wait_stored_through_outages(self, key: Key | None = None) -> None:
        """Wait until everything that happened, on a thread or on all, is stored, however long the store is unavailable.

        For changes that can no longer be refused.

        Raises:
            RequestError: `store_unavailable`: the server stopped before; `thread_damaged`: the store refused it.
        """
        while True:
            try:
                await self.journal.wait_stored(key)
                self.check(key)
                return
            except StoreUnavailable:  # it is tried again
                if self.journal.over:
                    raise

    async def wait_stored(self, key: Key | None = None) -> None:
        """Wait until everything that happened, on one thread or on all, is stored.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`: the store refused what happened on that thread.
        """
        await self.journal.wait_stored(key)
        self.check(key)

    def check(self, key: Key | None) -> None:
        """Check that the store accepts changes of a thread.

        Raises:
            RequestError: `thread_damaged`.
        """
        if key is not None and key in self.journal.refused:
            raise ThreadDamaged(key.thread_id)

    def _refused(self, key: Key) -> None:
        """Set aside a thread whose changes the store refuses; what is stored stays."""
        thread = self._threads.pop(key, None)
        if thread is not None:
            thread.retire(partial(ThreadDamaged, thread.id))
            if thread.active is not None:
                thread.active.fail(RunError("thread_damaged", "What the agent did could not be stored."))

    def unload_idle(self, now: float) -> None:
        """Unload threads that have been idle; `now` is the clock's."""
        for thread in self:
            stays = self._limits.idle_seconds if thread.lasting else self._limits.resume_seconds
            if now - thread.used <= stays:
                continue
            idle = not thread.readers and not (thread.owned and thread.busy)
            if idle and thread.log.visible == thread.log.revision:  # the store has all of it
                self._unload(thread)

    async def rest_idle(self, now: float) -> None:
        """Have the states rest of threads that have been idle, and the oldest ones where they are many.

        Args:
            now: The clock's.
        """
        idle = sorted((thread for thread in self if not thread.busy and not thread.rests), key=lambda it: it.used)
        held = sum(thread.size for thread in idle)
        for thread in idle:
            if now - thread.used < RESTS_AFTER and held <= HELD:
                return
            held -= thread.size
            if not thread.busy:  # by now
                thread.rest()
            await asyncio.sleep(0)  # each one takes up to some 10 ms

    def _unload(self, thread: Thread) -> None:
        """Unload an idle thread; the store keeps it if a client can name it."""
        if not thread.lasting:
            self.remove_stored(stores.Deleted(thread.key))
        elif self.store.instant:
            thread.put_away()
        self.remove(thread)

    async def sweep(self) -> bool:
        """Delete some expired threads from the store; return whether there are more."""
        more = False
        for lasting, seconds in ((False, self._limits.resume_seconds + LEFT_BEHIND), (True, self._limits.keep_seconds)):
            if seconds is not None:
                try:
                    keys = await self.store.idle_for(seconds, lasting=lasting)
                except StoreUnavailable:
                    return False
                more = more or len(keys) > AT_ONCE
                for key in keys[:AT_ONCE]:
                    await self._expire(key, seconds, lasting=lasting)
        return more

    async def _expire(self, key: Key, seconds: float, *, lasting: bool) -> None:
        """Delete a thread that was not written to for so many seconds."""
        try:
            if lasting and self.cascade is not None:
                await self.cascade(key)
        except RequestError:
            return  # it stays until what belongs to it can go as well
        if key not in self._threads and key not in self._turns:
            self.remove_stored(stores.Deleted(key))

    def remove_stored(self, *changes: stores.Deleted | stores.Moved) -> None:
        """Delete threads from the store; the caller drops those in memory."""
        self._removed += 1
        self._damaged.difference_update(change.key for change in changes)
        self.journal.add(*changes)
