"""The registry of a process that shares its store: threads that it has claimed, and mirrors of others.

A thread is claimed before anything is written to it, and given up when nothing has happened on it for a while. If
another process claims it meanwhile, its runs stop here, nothing more of it is stored or shown, and its readers go on
with what the other one writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from statecast import stores
from statecast.stores import Claimed, Damaged, Key, Renewed, SavedThread, SharedStore, StoreUnavailable, Wake
from statecast.threads import mirror
from statecast.threads.errors import LeaseLost
from statecast.threads.limits import Limits
from statecast.threads.log.journal import Journal
from statecast.threads.log.logged_state import LoggedState
from statecast.threads.observer import Observers
from statecast.threads.registry import Registry, RestoreInbox
from statecast.threads.thread import Thread
from statecast.threads.turns import Turns
from statecast_agents import Agent

from .hints import WORK, Hints
from .joint_writer import JointWriter
from .leases import HeldElsewhere, Leases
from .takeover import Takeover
from .watched import watched

__all__ = ["SharedRegistry"]

#: Seconds without a run or a request after which a thread is given up.
IDLE: Final = 1.0

#: Seconds between two looks for threads to give up, while the server stops.
HANDS_OVER: Final = 0.05

#: Characters of an epoch that say which engine it began in.
ENGINE: Final = 6

#: Seconds after a write in which a thread is not deleted, whatever other processes found before.
JUST_NOW: Final = 60.0

#: What the keys begin with that stand for names, or for threads while they are opened or deleted.
GUARD: Final = " "

#: Seconds between two tries to claim a guard: at first, and at most.
PAUSES: Final = (0.005, 0.05)

#: Called with a thread whose runs are to stop, and what their agents change instead until they have.
LoseRuns = Callable[[Thread, LoggedState], None]


class SharedRegistry(Registry):
    """The threads of a process that shares its store with others.

    Args:
        store: Where they are kept.
        agents: The agents by name.
        limits: How long they stay.
        restore_inbox: Called with each thread that is taken over, and its inbox.
        lose_runs: Called with each thread that is lost.
        observer: Learns of threads that are taken over, or lost.
        wake: How hints travel; None: the store's own way.
        clock: A monotonic clock, in seconds; threads and runs count by it.
    """

    def __init__(
        self,
        store: SharedStore,
        agents: Mapping[str, Agent],
        limits: Limits,
        restore_inbox: RestoreInbox,
        lose_runs: LoseRuns,
        *,
        observer: Observers,
        wake: Wake | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shared = watched(store, lambda: self.leases.doubt())
        super().__init__(self.shared, agents, limits, restore_inbox, clock=clock, observer=observer)
        self._lose_runs = lose_runs
        self._wake = wake
        #: called with a mirror that has readers, and whose state has to be read from the store again
        self.on_stale: Callable[[Thread], None] | None = None
        self._begin()

    def _begin(self) -> None:
        self.hints = Hints(self._wake or self.shared.wake())
        self.leases = Leases(
            self.shared,
            process=self.process,
            seconds=self._limits.lease_seconds,
            on_lost=self._lost,
            send=self.hints.send,
            failed=lambda error: self.journal.failed(error),
            worked=lambda: self.journal.worked(),
            clock=self.clock,
        )
        self._takeover = Takeover(
            self.shared,
            self.hints,
            self._take_over,
            process=self.leases.process,
            seconds=self._limits.lease_seconds / 3,
            clock=self.clock,
        )
        self._claims = Turns()  #: at claiming threads
        self._guarded: set[Key] = set()  #: guards that are held
        self.journal = Journal(self.shared, self._refused, JointWriter(self.leases), observer=self.observer)

    @property
    def claimed(self) -> int:
        """The number of threads that this process has claimed."""
        return len(self.leases)

    def restart(self) -> None:
        """Reset for another event loop, as another process."""
        super().restart()
        self._begin()

    def new_epoch(self) -> str:
        """Return an epoch that no log has had, of the engine as it is now."""
        return self._engine() + super().new_epoch()

    def _engine(self) -> str:
        return hashlib.sha256(self.leases.identity.encode()).hexdigest()[:ENGINE]

    def add(self, thread: Thread) -> None:
        """Add a new thread, which this process has claimed.

        Raises:
            RequestError: `lease_lost`: it has not, or not any more.
        """
        token = self.leases.token_of(thread.key)
        if token is None:
            raise LeaseLost()
        thread.own(token)
        super().add(thread)

    async def find(self, key: Key) -> Thread | None:
        """Return a thread as far as this process knows it; None if there is no such thread.

        Raises:
            RequestError: `agent_mismatch` if its agent is not served; `thread_damaged` if its data cannot be read;
                `store_unavailable`.
        """
        self.check(key)
        thread = self._threads.get(key)
        if thread is None:
            await self.wait_stored(key)  # it may have been deleted, and the store not know yet
            saved = await self._load(key)
            thread = self._threads.get(key)  # another request may have been faster
            if thread is None:
                return None if saved is None else self._mirrored(saved)
        thread.touch()
        return thread if thread.stored else None

    async def own(self, key: Key) -> Thread | None:
        """Return a thread that this process has claimed, as it is now; None if there is no such thread."""
        self.check(key)
        thread = self._threads.get(key)
        if thread is None or not thread.owned:
            async with self._claims.of(key):
                thread = self._threads.get(key)
                if thread is None or not thread.owned:
                    thread = await self._claim(key)
        if thread is None:
            return None
        thread.touch()
        return thread if thread.stored else None  # a crash could still take it back

    def token_of(self, key: Key) -> int | None:
        """Return the token of a thread that this process has claimed."""
        return self.leases.token_of(key)

    async def hold(self, key: Key) -> None:
        """Claim a thread that cannot be read."""
        async with self._claims.of(key):
            await self.leases.claim(key)

    async def reserve(self, key: Key) -> None:
        """Claim a key that no thread can have."""
        await self.own(key)

    async def _take_over(self, key: Key) -> None:
        """Claim a thread that was left with work, and go on with it."""
        if await self.own(key) is not None:
            self.observer.thread_taken_over()

    async def _claim(self, key: Key) -> Thread | None:
        await self.wait_stored(key)  # it may have been deleted, and the store not know yet
        claimed = await self.leases.claim(key)
        try:
            return await self._take(key, claimed)
        except BaseException:
            await self.leases.release([key])
            raise

    async def _take(self, key: Key, claimed: Claimed) -> Thread | None:
        """Return a thread that was just claimed; None if there is no such thread."""
        thread = self._threads.get(key)
        if thread is not None and self._is_unchanged(thread, claimed):
            thread.own(claimed.token)
            return thread
        saved = None if claimed.epoch is None else await self._load(key)
        if self.leases.token_of(key) != claimed.token:
            raise LeaseLost()
        thread = self._threads.get(key)
        if saved is None:
            if thread is not None:
                self.remove(thread)
            return None
        if thread is None:
            thread = self._mirrored(saved)
        else:
            self.reload(thread, saved)
        thread.own(claimed.token)
        thread.queue.replace(None, [])
        if not thread.epoch.startswith(self._engine()):  # the engine may have lost entries that readers have seen
            self.begin_epoch(thread)
        try:
            self._restore_inbox(thread, saved.inbox)
        except Exception as error:  # whatever is wrong with one stored thread must not affect the others
            self.remove(thread)
            raise self.damaged(key, error) from None
        for run in thread.queue.live:
            run.followed.begin_unknown(self.clock())
        return thread

    def _is_unchanged(self, thread: Thread, claimed: Claimed) -> bool:
        """Return whether a thread is what it was when it was given up.

        Nobody has claimed it in between, nor has the engine lost the end of its log, which would leave the token right.
        """
        return (
            thread.released == claimed.token - 1
            and (thread.epoch, thread.log.revision) == (claimed.epoch, claimed.revision)
            and thread.epoch.startswith(self._engine())
        )

    def _mirrored(self, saved: SavedThread) -> Thread:
        """Add a mirror of a stored thread.

        Raises:
            RequestError: `agent_mismatch`; `thread_damaged`.
        """
        agent = self._agent_of(saved)
        try:
            thread = self._restore(saved, agent)
            mirror.mirror(thread, saved.inbox)
        except Exception as error:  # as above
            raise self.damaged(saved.key, error) from None
        self._threads[saved.key] = thread
        return thread

    def reload(self, thread: Thread, saved: SavedThread) -> None:
        """Make a thread in memory what is stored.

        Raises:
            RequestError: `agent_mismatch`; `thread_damaged`.
        """
        agent = self._agent_of(saved)
        try:
            mirror.reload(thread, saved, agent)
        except Exception as error:  # as above
            raise self.damaged(saved.key, error) from None

    def begin_epoch(self, thread: Thread) -> None:
        """Begin a new epoch of a thread that is claimed: its readers may have seen entries that were lost."""
        thread.renew(self.new_epoch())
        self.journal.add(Renewed(thread.key, thread.epoch))

    async def _load(self, key: Key) -> SavedThread | None:
        try:
            return await self.store.load(key)
        except Damaged as error:
            raise self.damaged(key, error) from None

    def lost(self, thread: Thread) -> None:
        """Stop what this process does on a thread that another one has claimed. Its readers stay."""
        self.leases.drop(thread.key)
        self._lost([thread.key])

    def _lost(self, keys: Collection[Key]) -> None:
        self.journal.drop(keys)
        for key in keys:
            thread = self._threads.get(key)
            if thread is not None and thread.owned:
                self._lose(thread)

    def _lose(self, thread: Thread) -> None:
        self.observer.thread_fenced()
        self._lose_runs(thread, thread.lose(LeaseLost))
        mirror.lose(thread)
        if not thread.readers:
            self.remove(thread)
        elif self.on_stale is not None:
            self.on_stale(thread)

    async def open(self) -> None:
        """Open the store, and find out which engine it is.

        Raises:
            StoreUnavailable: It cannot be opened.
        """
        await self.shared.open()
        try:
            await self.leases.renew()
        except StoreUnavailable:
            await self.shared.aclose()
            raise
        await self.hints.open()

    async def aclose(self) -> None:
        """Give up what is still claimed, and close the store."""
        await self.leases.release(list(self.leases))
        self.hints.send([WORK])
        await self.hints.aclose()
        await self.shared.aclose()

    def tasks(self, stopping: Callable[[], bool]) -> list[Coroutine[Any, Any, None]]:
        """Return what is to run as long as the server does; `stopping` returns whether it begins nothing any more."""
        return [*super().tasks(stopping), self.leases.run(), self._takeover.run(stopping), self._give_up(stopping)]

    async def take_up(self, keys: Collection[Key]) -> None:
        """Go on with what was left on threads, unless other processes do."""
        await self._takeover.take(keys)

    async def _give_up(self, stopping: Callable[[], bool]) -> None:
        """Give up threads on which nothing happens, soon; at once when the server stops."""
        while True:
            if stopping():
                await self.hand_over()
            else:
                await self._release([key for key in self.leases if self._is_idle(key, IDLE)])
            await asyncio.sleep(HANDS_OVER if stopping() else IDLE / 2)

    async def hand_over(self) -> None:
        """Give up all threads on which no run is under way; what is queued there runs elsewhere."""
        given = [key for key in self.leases if self._is_idle(key, 0.0, queued=True)]
        await self._release(given)
        if given:
            self.hints.send([WORK])

    def _is_idle(self, key: Key, seconds: float, *, queued: bool = False) -> bool:
        """Return whether nothing has happened on a claimed thread for some seconds, and all of it is stored.

        Args:
            key: The thread.
            seconds: How long.
            queued: Whether what is queued does not matter.
        """
        if key in self._guarded or key in self._claims or key in self._turns or self.journal.failing is not None:
            return False
        thread = self._threads.get(key)
        since = self.leases.since(key) if thread is None else thread.used
        if self.clock() - since < seconds:
            return False
        if thread is not None:
            if thread.active is not None or (thread.inbox and not queued) or not (thread.lasting or queued):
                return False
            thread.flush()
        return not self.journal.has(key)

    async def _release(self, keys: Collection[Key]) -> None:
        for key in keys:
            thread = self._threads.get(key)
            if thread is not None and thread.owned:
                thread.release()
                mirror.mirror(thread, [(run.id, run.batch.encode()) for run in thread.inbox])
        await self.leases.release(keys)

    def _unload(self, thread: Thread) -> None:
        """Unload an idle thread; one that no client can name is deleted by the process that has claimed it."""
        if not thread.lasting and thread.owned:
            self.remove_stored(stores.Deleted(thread.key))
        self.remove(thread)

    async def _expire(self, key: Key, seconds: float, *, lasting: bool) -> None:
        """Delete a thread that was not written to for so many seconds, unless another process has just done so."""
        if key in self._threads or key in self._turns or key in self._claims:
            return
        try:
            async with self._claims.of(key):
                await self.leases.claim(key)
            summary = await self.store.summary(key)
        except (HeldElsewhere, StoreUnavailable):
            return
        if summary is None or time.time() - summary.updated > min(seconds, JUST_NOW):
            await super()._expire(key, seconds, lasting=lasting)

    def alone(self, key: Key) -> AbstractAsyncContextManager[None]:
        """Keep requests to all processes from opening a thread or writing to it, or from the same by a name."""
        return self._alone(key)

    @contextlib.asynccontextmanager
    async def _alone(self, key: Key) -> AsyncIterator[None]:
        guard = Key(key.owner, f"{GUARD}{key.thread_id}")
        async with self._turns.of(key):
            await self._guard(guard)
            try:
                yield
            finally:
                self._guarded.discard(guard)
                await self.leases.release([guard])

    async def _guard(self, guard: Key) -> None:
        """Claim a key that no thread has, once no other process has it.

        Raises:
            RequestError: `store_unavailable`.
        """
        pause = PAUSES[0]
        while True:
            try:
                await self.leases.claim(guard)
            except HeldElsewhere:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSES[1])
            else:
                self._guarded.add(guard)
                return
