"""A disk without room: the server accepts nothing, shows only what is kept, and goes on by itself when it can."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.chaos.ledger import Ledger, Sent
from tests.chaos.server_process import PATIENCE, ServerProcess
from tests.chaos.tabs import EventFollower, SocketFollower, World

if sys.platform != "linux":
    pytest.skip("the limit is set from outside, which is Linux's", allow_module_level=True)

import resource

pytestmark = pytest.mark.anyio

LONG = {"type": "echo", "id": "long", "name": "long", "pieces": 40, "pause": 0.02}
NEXT = {"type": "echo", "id": "next", "name": "next", "pieces": 1, "pause": 0}


def fill(served: ServerProcess) -> None:
    """Leave no room for a byte more."""
    _, hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (1, hard))


def clear(served: ServerProcess) -> None:
    """Make room."""
    _, hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (hard, hard))


async def until(fact: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not fact():  # noqa: ASYNC110  # many facts
            await asyncio.sleep(0.01)


def posted(command: dict[str, Any]) -> dict[str, Any]:
    return {"commands": [command], "threadId": "t"}


@pytest.mark.parametrize("killed", [False, True], ids=["and there is room again", "and the server is killed"])
async def test_a_disk_is_full(tmp_path: Path, killed: bool) -> None:
    served = ServerProcess(tmp_path)
    ledger = Ledger()
    world = World(served.up, ledger, Random())
    followers = [EventFollower(world, "t"), SocketFollower(world, "t")]
    for number, command in enumerate([LONG, NEXT]):
        world.ledger.send(Sent("t", "once", "tab", number, command))
    await served.start()
    try:
        async with world.http as http, asyncio.TaskGroup() as group:
            url = await served.up()
            running = group.create_task(request(http, f"{url}/assistant", LONG))
            following = [group.create_task(follower.follow()) for follower in followers]
            await until(lambda: all(follower.state and "long.3 " in follower.state["text"] for follower in followers))

            fill(served)
            while (await http.get(f"{url}/health")).json()["runs"]:  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.01)
            refused = await http.post(f"{url}/assistant", json=posted(NEXT))
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert (await http.post(f"{url}/assistant", json={**posted(NEXT), "threadId": "new"})).status_code == 503
            assert not running.done()
            kept = followers[0].revision
            for follower in followers:
                assert follower.state["done"] == []
                assert follower.run["status"] == "running"

            if killed:
                await served.kill()
                await served.start()
                url = await served.up()
                await until(lambda: all(follower.run["status"] == "interrupted" for follower in followers))
                assert followers[0].state["done"] == []
                assert followers[0].revision == kept + 1
                assert await running is False
            else:
                clear(served)
                await until(lambda: all(follower.run["status"] == "completed" for follower in followers))
                assert followers[0].state["text"] == "".join(f"long.{piece} " for piece in range(40))
                assert await running is True

            assert (await http.post(f"{url}/assistant", json=posted(NEXT))).status_code == 200
            state = await world.get("/threads/t/state")
            assert state["state"]["counts"] == {"long": 1, "next": 1}
            await until(lambda: all(follower.cursor == state["cursor"] for follower in followers))
            assert all(follower.state == state["state"] for follower in followers)
            assert await world.get("/threads/new/state") is None
            for task in following:
                task.cancel()
        assert await served.stop() == 0
        await ledger.audit(served.file, [("t", "once")])
    finally:
        await served.aclose()
    assert b"Traceback" not in served.errors
    assert b"nothing is sent or accepted until it does" in served.errors


async def request(http: httpx.AsyncClient, url: str, command: dict[str, Any]) -> bool:
    """Send a command; returns whether its stream had an end."""
    try:
        async with http.stream("POST", f"{url}?protocol=assistant-transport", json=posted(command)) as response:
            assert response.status_code == 200
            return (await response.aread()).endswith(b"data: [DONE]\n\n")
    except httpx.HTTPError:
        return False
