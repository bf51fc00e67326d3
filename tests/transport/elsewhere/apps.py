"""Apps that share a store, as several processes of one deployment do, each with a client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from statecast import Agent, create_app
from statecast.http.app import App
from statecast.stores import MemoryStore, SharedStore, Sharing
from statecast.testing import TestClient
from statecast.threads import Thread
from tests.transport.held_agent import until

__all__ = ["Process", "held_by", "processes"]


class Process:
    """An app and a client of it."""

    def __init__(self, app: App, client: TestClient) -> None:
        self.app = app
        self.client = client

    def thread(self, thread_id: str = "t") -> Thread | None:
        """Return a thread from the process's memory."""
        return self.app.hub.loaded(thread_id)

    def holds(self, thread_id: str = "t") -> bool:
        """Return whether the process has claimed a thread."""
        thread = self.thread(thread_id)
        return thread is not None and thread.owned


@contextlib.asynccontextmanager
async def processes(
    agent: Agent | Callable[[], Agent], number: int = 2, *, store: SharedStore | None = None, **settings: Any
) -> AsyncIterator[list[Process]]:
    """Start apps that share a store.

    Args:
        agent: Of all apps; or what makes each app's own.
        number: How many.
        store: The store; default: in memory.
        settings: Of each app.
    """
    shared = store or Sharing(MemoryStore())
    async with contextlib.AsyncExitStack() as stack:
        started: list[Process] = []
        for _ in range(number):
            app = create_app(agent if isinstance(agent, Agent) else agent(), store=shared, **settings)
            started.append(Process(app, await stack.enter_async_context(TestClient(app))))
        yield started


async def held_by(process: Process, thread_id: str = "t") -> None:
    """Wait until a process has a thread whose run is under way, and the store has its beginning."""

    def holds() -> bool:
        thread = process.thread(thread_id)
        begun = thread is not None and thread.active is not None and thread.active.begun
        return thread is not None and begun and thread.log.visible == thread.log.revision

    await until(holds)
