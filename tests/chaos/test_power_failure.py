"""The power fails while pages follow a run: they end with the server's state, whatever of the files is gone.

If commits wait for the disk, the server has all that anybody has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.chaos.crowd import repeatable, seeded, within
from tests.chaos.ledger import Ledger, Sent
from tests.chaos.server_process import ServerProcess
from tests.chaos.tabs import EventFollower, Follower, SocketFollower, World
from tests.counts import count
from tests.stores.disk import begin_record, lose_power

if sys.platform != "linux":
    pytest.skip("where syncs are recorded, files are known as Linux knows them", allow_module_level=True)

pytestmark = pytest.mark.anyio

FAILURES = count("POWER_FAILURES", 6, long=40)  #: in all


@pytest.mark.parametrize("durable", [False, True], ids=["usual", "durable"])
async def test_pages_that_come_back_after_the_power_failed_have_the_state_of_the_server(
    tmp_path: Path, durable: bool
) -> None:
    seed, random = seeded(f"power {durable}")
    (tmp_path / "served").mkdir()
    record = tmp_path / "record"
    served = ServerProcess(tmp_path / "served", durable=durable, environment={"ECHOING_RECORD": str(record)})
    ledger = Ledger()
    world = World(served.up, ledger, random)
    followers = [EventFollower(world, "t"), SocketFollower(world, "t")]
    epochs: set[str] = set()
    async with repeatable(seed, served), world.http as http:
        try:
            begin_record(served.file, record)
            await served.start()
            await say(world, http, "first", pieces=1)
            assert await served.stop() == 0  # the thread is there, whatever happens then
            async with asyncio.TaskGroup() as group:
                following = [group.create_task(follower.follow()) for follower in followers]
                for number in range(FAILURES // 2):
                    begin_record(served.file, record)
                    await served.start()
                    await say(world, http, f"next{number}", pieces=1)
                    await within("all to have the server's state", have_the_state(world, followers))
                    epoch = followers[0].cursor.rpartition("-")[0]
                    assert epoch not in epochs, "cursors are of another epoch after a loss of power"
                    epochs.add(epoch)
                    running = group.create_task(say(world, http, f"long{number}", pieces=3_000))
                    piece = f"long{number}.{random.randint(1, 60)} "
                    await within(f"{piece!r} to be seen", ledger.until(partial(saw, piece, followers)))
                    await served.kill()
                    await running
                    lose_power(served.file, record, random)
                    if not durable:
                        # Something that was seen may be lost, and other entries get its numbers.
                        world.ledger = ledger = Ledger()
                        for follower in followers:
                            follower.revision = -1
                for task in following:
                    task.cancel()
        finally:
            await served.aclose()
    assert b"Traceback" not in served.errors
    print(f"seed {seed}: {len(epochs)} times without power")


async def say(world: World, http: httpx.AsyncClient, name: str, *, pieces: int) -> None:
    """Send a command, and read its stream to the end, or until it is cut off."""
    command = {"type": "echo", "id": name, "name": name, "pieces": pieces, "pause": 0.002}
    world.ledger.send(Sent("t", "once", "tab", 0, command))
    with contextlib.suppress(httpx.HTTPError):
        posted = await http.post(f"{await world.up()}/assistant", json={"commands": [command], "threadId": "t"})
        assert posted.status_code == 200


def saw(piece: str, followers: Sequence[Follower]) -> bool:
    return any(follower.state and piece in follower.state["text"] for follower in followers)


async def have_the_state(world: World, followers: Sequence[Follower]) -> None:
    while True:
        there = await world.get("/threads/t/state")
        if all(follower.cursor == there["cursor"] for follower in followers):
            break
        await asyncio.sleep(0.01)
    for follower in followers:
        assert follower.state == there["state"], f"{follower} computed {follower.state}, not {there['state']}"
