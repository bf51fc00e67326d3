"""Several processes of an app over one store, all in this process.

Each may be cut off from the store, and time passes when a test says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec

from statecast import Agent, Limits
from statecast.state import Json
from statecast.stores import Key, MemoryStore, SharedStore, Sharing, StoreUnavailable
from statecast.threads import Hub, Posted, Submission, Thread
from statecast.threads.ownership.registry import SharedRegistry
from tests.stores.every_store import Ticks

#: Seconds of a lease, and between two looks of each process for work: a third of that. Leases end by the test's clock.
LEASE = 0.15


class Line:
    """A process's connection to the store."""

    def __init__(self, store: Sharing) -> None:
        self._store = store
        self.cut = False  #: whether nothing comes through
        self.deaf = False  #: whether what is written is written, and its confirmation is lost
        self.loads = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ASKED:
            return found

        async def ask(*args: Any, **named: Any) -> Any:
            if self.cut:
                raise StoreUnavailable("the line is cut")
            self.loads += name == "load"
            answer = await found(*args, **named)
            if self.cut or (self.deaf and name == "write"):
                raise StoreUnavailable("the answer was lost")
            return answer

        return ask


ASKED = {
    *("identity", "claim", "renew", "release", "write", "tails", "post", "posts", "replies", "load", "unfinished"),
    *("idle_for", "summary", "summaries", "summary_named", "is_owned", "records", "secret", "probe"),
}


class Process:
    """One process: its connection, and its threads."""

    def __init__(self, line: Line, hub: Hub, agent: Agent) -> None:
        self.line = line
        self.hub = hub
        self.agent = agent

    @property
    def registry(self) -> SharedRegistry:
        """Its threads."""
        registry = self.hub.registry
        assert isinstance(registry, SharedRegistry)
        return registry

    @property
    def name(self) -> str:
        """Its id."""
        return self.registry.leases.process

    async def send(self, *commands: dict[str, Any], thread_id: str = "t") -> Submission:
        """Send commands to a thread."""
        encoded = [msgspec.json.encode(command) for command in commands]
        return await self.hub.submit(Posted(agent=self.agent, commands=encoded, thread_id=thread_id))

    def thread(self, thread_id: str = "t") -> Thread:
        """Return a thread that it has in memory."""
        thread = self.hub.loaded(thread_id)
        assert thread is not None
        return thread

    def owns(self, thread_id: str = "t") -> bool:
        """Return whether it has claimed a thread."""
        thread = self.hub.loaded(thread_id)
        return thread is not None and thread.owned

    def token(self, thread_id: str = "t") -> int | None:
        """Return the token of its claim of a thread."""
        return self.registry.leases.token_of(Key(None, thread_id))

    def notes(self, thread_id: str = "t") -> Json:
        """Return what the agent has noted in a thread's state."""
        state = msgspec.json.decode(self.thread(thread_id).snapshot()[1])
        return None if state is None else state["notes"]

    @property
    def stored(self) -> bool:
        """Whether the store has everything that has happened in this process."""
        return self.registry.journal.all_stored

    def status(self, thread_id: str = "t") -> str | None:
        """Return the status of a thread's latest run."""
        thread = self.hub.loaded(thread_id)
        return None if thread is None or thread.run is None else thread.run.status


class Processes:
    """Processes that share a store."""

    def __init__(self, stack: contextlib.AsyncExitStack, store: Sharing, ticks: Ticks) -> None:
        self.store = store
        self.ticks = ticks
        self._stack = stack

    async def start(self, agent: Agent, **limits: Any) -> Process:
        """Start one more process."""
        line = Line(self.store)
        settings = Limits(**{"lease_seconds": LEASE, **limits})
        hub = Hub({agent.name: agent}, store=cast("SharedStore", line), limits=settings, clock=self.ticks)
        await hub.start()
        self._stack.push_async_callback(hub.aclose)
        return Process(line, hub, agent)

    def holder(self, thread_id: str = "t") -> str | None:
        """Return the process that holds a thread now."""
        lease = self.store._leases.get(Key(None, thread_id))
        return None if lease is None or lease.until <= self.ticks() else lease.process

    def expire(self) -> None:
        """Let the time of all leases pass that are not renewed."""
        self.ticks.now += LEASE * 2


@contextlib.asynccontextmanager
async def processes() -> AsyncIterator[Processes]:
    """Yield processes that share a store in memory, and end those that were started."""
    ticks = Ticks()
    async with contextlib.AsyncExitStack() as stack:
        yield Processes(stack, Sharing(MemoryStore(clock=ticks), clock=ticks), ticks)
