"""One server after the other, on one store, for stories that are told step by step.

Everything happens on one thread, the store's work included, so that a story is the same each time it is told. What is
to become of a request is foretold from the thread as it is when the request comes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import msgspec

from statecast import Limits
from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError
from statecast.stores import MemoryStore, SqliteStore, Store
from statecast.threads import Hub, Posted, Thread
from statecast.threads.errors import RevisionGone
from statecast_agents.agent import Policy
from tests.transport.account import Account, Command
from tests.transport.failing_store import Failing
from tests.transport.followers import crashed, reopened
from tests.transport.scripted_agent import LINGERS, Actor
from tests.transport.watchers import Watchers, live

TIGHT: Final = Limits(keep_entries=8, keep_bytes=1_500, send_bytes=300)
STOPS: Final = ("interrupt", "rollback")  #: policies that stop a run, and are next

_T = TypeVar("_T")


class AtOnce(Executor):
    """Does what it is given itself, and at once, where there would be a thread."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # whatever it is, it is for whoever awaits it
            future.set_exception(error)
        return future


class Prospect(msgspec.Struct):
    """What is to become of a batch."""

    taken: list[Command]  #: handed to the run that is active, because it waits for it
    others: list[Command]  #: run
    refusal: str | None = None
    stopped: str | None = None  #: the run that makes way for it
    waiting: list[str] | None = None  #: runs that wait already; None where some may come in between


class Life:
    """A server on a store, and the account that is kept of it.

    Args:
        kind: Of the store: `memory`, or `sqlite`, which can stall and survives a crash.
        policy: The agent's.
        folder: Where its files go.
    """

    def __init__(self, kind: str, policy: Policy, folder: Path) -> None:
        self.account = Account()
        self.watchers = Watchers(self.account)
        self.stalled = False  #: whether the store takes its time, so that nothing is kept
        self.requests = 0  #: that the latest server has had
        self._policy: Policy = policy
        self._folder = folder
        self._store: Store = MemoryStore() if kind == "memory" else Failing(SqliteStore(folder / "threads.db"))
        self._stopping: set[str] = set()  #: runs that the latest server was told to stop
        self._pending: list[asyncio.Task[None]] = []  #: requests that are not answered yet
        self._opening: set[str] = set()  #: threads that one of them takes from the store, or makes

    @property
    def durable(self) -> bool:
        """Whether the store can stall, and survives a crash."""
        return isinstance(self._store, Failing)

    @property
    def busy(self) -> list[str]:
        """The threads on which a run is under way, or to begin."""
        return sorted(thread.id for thread in self.hub.registry if live(thread))

    # The server

    async def open(self) -> None:
        """Start a server; what waited on the earlier one goes on."""
        self.requests = 0
        self._stopping.clear()  # what a crash takes back begins again, and goes on
        self.actor = Actor(self._policy)
        agent = self.actor.agent
        self.hub = Hub({agent.name: agent}, store=self._store, limits=TIGHT)
        await self.hub.start()

    async def close(self) -> None:
        """Stop the server, in whatever state it is."""
        for request in self._pending:
            request.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
        if isinstance(self._store, Failing):
            self._store.go.set()
        await self.hub.aclose()

    async def restart(self) -> None:
        """Stop the server, and start the next."""
        await self.flow()
        queues = self._queues()
        self.account.stopped.update(thread.active.id for thread in self.hub.registry if thread.active is not None)
        await self.hub.aclose()
        for reader in self.watchers.readers:
            self.watchers.read(reader, all=True)  # the streams end behind what is there
        store = self._store
        self._store = Failing(reopened(store.kept)) if isinstance(store, Failing) else store
        await self._reopen(queues)

    async def crash(self) -> None:
        """Kill the server, and start the next on what the store has."""
        assert isinstance(self._store, Failing)
        assert isinstance(self._store.kept, SqliteStore)
        queues = self._queues()
        left = crashed(self._store.kept, self._folder)
        self.account.crash([run_id for runs in queues.values() for run_id in runs])
        await self.close()
        self.stalled = False
        self._pending.clear()
        self._opening.clear()
        self._store = Failing(left)
        await self._reopen(queues)

    async def _reopen(self, queues: dict[str, list[str]]) -> None:
        await self.open()
        await self._come_back()
        for thread_id, before in queues.items():
            thread = await self.find(thread_id)
            if thread is not None:
                self.account.reaches(thread.cursor)
                now = [run.id for run in live(thread)]
                shared = min(len(now), len(before))  # some have run meanwhile, or a crash took back that they had
                assert now[len(now) - shared :] == before[len(before) - shared :], "what waits keeps its order"

    def _queues(self) -> dict[str, list[str]]:
        return {thread.id: self._queue(thread) for thread in self.hub.registry}

    def _queue(self, thread: Thread | None) -> list[str]:
        return [] if thread is None else [run.id for run in thread.queue.stored_runs]

    async def find(self, thread_id: str) -> Thread | None:
        """Return a thread, if there is one; while the store stalls, only if it is in memory."""
        if self.stalled and self.hub.loaded(thread_id) is None:
            return None
        try:
            return await self.hub.find(thread_id)
        except RequestError as refused:
            assert refused.code == "unknown_thread"
            return None

    # Time

    async def turn(self) -> None:
        """Let time pass."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def forget(self) -> None:
        """Let everybody go, so that threads on which nothing happens leave memory, and come back."""
        for reader in self.watchers.readers:
            reader.leave()
        self.hub.registry.unload_idle(time.monotonic() + 10_000)
        await self._come_back()

    async def _come_back(self) -> None:
        readers = self.watchers.readers.copy()
        self.watchers.readers.clear()
        for reader in readers:
            thread = await self.find(reader.thread.id)
            if thread is not None:
                self.watchers.follow(thread, reader.form, reader.view)

    def stall(self) -> None:
        """Let the store take its time."""
        assert isinstance(self._store, Failing)
        self._store.go = anyio.Event()
        self.stalled = True

    async def flow(self) -> None:
        """Let the store go on, and answer what waits for it."""
        if isinstance(self._store, Failing):
            self._store.go.set()
        self.stalled = False
        await asyncio.gather(*self._pending)
        self._pending.clear()
        self._opening.clear()

    async def finish(self) -> None:
        """Let all runs come to their end."""
        await self.flow()
        for _ in range(LINGERS):
            await self.turn()
        for thread in self.hub.registry:
            assert self._stopping.isdisjoint(run.id for run in live(thread)), "what is told to stop ends"
        while self.hub.runs:
            for release in self.actor.holds:
                release.set()
            self.actor.holds.clear()
            for thread in self.hub.registry:
                if thread.active is not None and thread.active.id in self.actor.asking:
                    await self.cancel(thread.id, queued=False)
            await self.turn()

    # Requests

    async def _send(self, request: Coroutine[Any, Any, None]) -> None:
        """Send a request; while the store stalls, its answer comes later."""
        self.requests += 1
        self._pending.append(asyncio.ensure_future(request))
        if not self.stalled:
            await self.flow()

    async def post(self, batch: Sequence[Command], thread_id: str, policy: Policy | None, *, agrees: bool) -> None:
        """Send a batch."""
        if thread_id in self._opening:
            return  # it would wait for the request that opens the thread, and who knows what is active by then
        if self.stalled and self.hub.loaded(thread_id) is None:
            self._opening.add(thread_id)
        await self._send(self._post(batch, thread_id, policy, agrees=agrees))

    async def _post(self, batch: Sequence[Command], thread_id: str, policy: Policy | None, *, agrees: bool) -> None:
        thread = self.hub.loaded(thread_id)
        prospect = self._foretell(batch, thread, policy or self._policy)
        posted = Posted(
            agent=self.actor.agent,
            commands=[msgspec.json.encode(command.body) for command in batch],
            thread_id=thread_id,
            claim=thread.snapshot()[1] if thread is not None and agrees else msgspec.UNSET,
            policy=policy,
        )
        try:
            accepted = await self.hub.submit(posted)
        except RequestError as refused:
            assert refused.code == prospect.refusal
            self.account.refuse([*prospect.taken, *prospect.others])
            return
        assert prospect.refusal is None, f"expected {prospect.refusal}"
        if prospect.stopped is not None:
            self._stopping.add(prospect.stopped)
        if batch:
            assert accepted.run_id is not None
            self._check(prospect, batch, accepted.run_id, self._queue(accepted.thread), policy or self._policy)
            self.account.accept([*prospect.taken, *prospect.others], accepted.run_id)

    def _foretell(self, batch: Sequence[Command], thread: Thread | None, policy: Policy) -> Prospect:
        active = None if thread is None else thread.active
        listens = active is not None and active.id in self.actor.asking - self._stopping
        fresh = [command for command in batch if not command.known]
        taken = [command for command in fresh if listens and command.body["type"] == "reply"][:1]
        prospect = Prospect(taken, [command for command in fresh if command not in taken])
        if prospect.others and thread is not None and live(thread):
            prospect.refusal = {"reject": "run_active", "deliver": "not_listening"}.get(policy)
            if policy == "rollback" and self._policy != "rollback":
                prospect.refusal = "policy_not_available"
        if active is not None and prospect.refusal is None:
            if taken:
                self.actor.asking.discard(active.id)
            if prospect.others and policy in STOPS:
                prospect.stopped = active.id
                # If others stop it too, or it ends while the store stalls, some of it may stay.
                whole = policy == "rollback" and not self.stalled and active.id not in self.account.stopped
                (self.account.undone if whole else self.account.stopped).add(active.id)
        prospect.waiting = None if self.stalled else self._queue(thread)
        self.account.send(fresh, taken, None if active is None else active.id)
        return prospect

    def _check(
        self, prospect: Prospect, batch: Sequence[Command], run_id: str, queue: Sequence[str], policy: Policy
    ) -> None:
        """Check which run a batch led to, and that this has its place in the queue, of which some may have run."""
        if prospect.others:
            assert run_id not in self.account.runs or run_id == prospect.others[0].run_id  # to which a retry led
            if prospect.waiting is not None:
                expected = [run_id, *prospect.waiting] if policy in STOPS else [*prospect.waiting, run_id]
                assert queue == expected[len(expected) - len(queue) :]
        elif prospect.taken:
            assert run_id == prospect.taken[0].taker
        else:
            assert run_id == (batch[-1].run_id or run_id)

    async def cancel(self, thread_id: str, *, queued: bool) -> None:
        """Stop whatever is active, and drop what waits behind it if `queued`."""
        await self._send(self._cancel(thread_id, queued=queued))

    async def _cancel(self, thread_id: str, *, queued: bool) -> None:
        thread = await self.find(thread_id)
        if thread is None:
            return
        active = None if thread.active is None else thread.active.id
        dropped = {run.id for run in thread.inbox if queued}
        if active is not None:
            self._stopping.add(active)
            self.account.stopped.add(active)
        self.account.stopped |= dropped
        named, cancelled = await self.hub.cancel(thread_id, queued=queued)
        assert (named, cancelled) == (active or named, active is not None)
        self.account.dropped |= dropped

    async def patch(self, thread_id: str, path: str, value: str) -> None:
        """Edit the state as a client does."""
        await self._send(self._patch(thread_id, path, value))

    async def _patch(self, thread_id: str, path: str, value: str) -> None:
        thread = await self.find(thread_id)
        if thread is None:
            return
        refusal = "run_active" if live(thread) else None if path == "/title" else "not_writable"
        if refusal is None:
            self.account.name(thread_id, value)
        try:
            await self.hub.patch(thread_id, [{"op": "replace", "path": path, "value": value}])
        except RequestError as refused:
            assert refused.code == refusal
        else:
            assert refusal is None, f"expected {refusal}"
            self.account.keep_name(thread_id)

    async def look_back(self, choice: int) -> None:
        """Ask for the state at a revision that some reader has been to."""
        seen = [view for view in self.watchers.past if view.revision >= 0]
        if self.stalled or not seen:
            return
        view = seen[choice % len(seen)]
        for thread in self.hub.registry:
            if view.cursor == str(Cursor(thread.epoch, view.revision)):
                try:
                    point = await self.hub.past.point(thread, view.revision)
                except RevisionGone as gone:
                    assert gone.begins > view.revision
                else:
                    assert msgspec.json.decode(point.state) == view.state

    # What is seen

    async def compare(self, *, everyone: bool = False) -> None:
        """Compare what the threads, their readers and the store have; of the readers a few, or `everyone`."""
        for thread in self.hub.registry:
            if not self.stalled:
                await self._until_shown(thread)
            runs = [run.id for run in live(thread)]
            self.account.check(thread.id, msgspec.json.decode(thread.snapshot()[1]), runs)
            if self.stalled:
                await self.watchers.compare_shown(thread, self._store)
                continue
            self.account.end(thread.id, runs)
            self.watchers.compare(thread, everyone=everyone)
            if self.durable:
                await self.watchers.compare_kept(thread, self._store)

    async def _until_shown(self, thread: Thread) -> None:
        """Wait until everything is kept; as long as nobody waits again, it stays so."""
        thread.flush()
        while thread.log.visible != thread.log.revision:
            await self.hub.registry.journal.wait_stored()
            thread.flush()
