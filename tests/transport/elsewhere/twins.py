"""A deployment of two processes, of which the one that clients reach holds no thread: its twin has claimed all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from statecast import create_app
from statecast.http.app import App
from statecast.stores import Key, MemoryStore, Sharing
from statecast.threads import Posted, Submission, Thread
from statecast.threads.calls.performing import accepted
from statecast.threads.ownership.leases import HeldElsewhere

__all__ = ["create_twins"]


def create_twins(*args: Any, store: object = "memory", **settings: Any) -> App:
    """Return the app of the process that clients reach; its lifespan is that of both.

    Args:
        args: As of `create_app`.
        store: In memory, or one that the twins cannot share: then there is one process.
        settings: As of `create_app`.
    """
    if not (store == "memory" or isinstance(store, MemoryStore)):
        return create_app(*args, store=store, **settings)  # type: ignore[arg-type]  # as it was given
    shared = Sharing(store if isinstance(store, MemoryStore) else MemoryStore())
    here, twin = (create_app(*args, store=shared, **settings) for _ in range(2))
    registry, holder = here.hub.registry, twin.hub.registry

    async def own(key: Key) -> Thread | None:
        """Have the twin claim the thread first, unless there is none."""
        thread = registry.get(key)
        if (thread is None or not thread.owned) and await shared.load(key) is not None:
            with contextlib.suppress(HeldElsewhere):
                await holder.own(key)
        return await type(registry).own(registry, key)

    async def submit(posted: Posted) -> Submission:
        """Have the twin make a new thread."""
        thread_id, owner = posted.thread_id, posted.owner
        if thread_id is None or await here.hub.known(thread_id, owner=owner) is not None:
            return await type(here.hub).submit(here.hub, posted)
        submission = await twin.hub.submit(posted)
        assert here.hub._elsewhere is not None
        return await here.hub._elsewhere._accepted(Key(owner, thread_id), accepted(submission), b"")

    registry.own = own  # type: ignore[method-assign]
    here.hub.submit = submit  # type: ignore[method-assign]
    lifespan = here.lifespan

    @contextlib.asynccontextmanager
    async def both(*args: Any, **named: Any) -> AsyncIterator[None]:
        async with twin.lifespan(), lifespan(*args, **named):
            yield

    here.router.lifespan_context = both
    return here
