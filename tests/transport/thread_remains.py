"""Threads that tests delete: whether anything is left of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from statecast import Agent, App, create_app
from statecast.testing import TestClient
from tests.transport.followers import posted
from tests.transport.held_agent import HOLD

__all__ = ["delete", "is_unknown", "listing", "running"]


async def is_unknown(client: TestClient, thread_id: str = "t", **headers: str) -> bool:
    """Whether nothing is known of a thread, wherever one asks; either all of it is there or nothing."""
    paths = [f"/status/{thread_id}", *(f"/threads/{thread_id}{rest}" for rest in ("", "/state", "/messages"))]
    statuses = {(await client.get(path, headers=headers)).status for path in paths}
    listed = (await client.get("/threads", headers=headers)).json()["threads"]
    known = statuses == {200}
    assert known or statuses == {404}, statuses
    assert (thread_id in [thread["remoteId"] for thread in listed]) == known
    if not known:  # else it is a stream without an end
        assert (await client.get(f"/threads/{thread_id}/events", headers=headers)).status == 404
    return not known


@asynccontextmanager
async def running(client: TestClient) -> AsyncIterator[Any]:
    """Begin a run that is held in the middle."""
    async with client.stream("POST", "/assistant", json=posted(HOLD)) as response:
        await response.read_until(b"held")
        yield response


async def delete(client: TestClient, thread_id: str = "t") -> int:
    return (await client.request("DELETE", f"/threads/{thread_id}")).status


def listing(agent: Agent, **settings: Any) -> App:
    return create_app(agent, open_list=True, **settings)
