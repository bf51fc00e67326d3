"""A file belongs to one server: a second one says so and ends, and does the first no harm."""

from __future__ import annotations

from pathlib import Path
from random import Random

import httpx
import pytest

from tests.chaos.ledger import Ledger
from tests.chaos.server_process import ServerProcess
from tests.chaos.tabs import Tab, World

pytestmark = pytest.mark.anyio


async def test_a_second_server_on_a_file_is_refused(tmp_path: Path) -> None:
    first, second = ServerProcess(tmp_path), ServerProcess(tmp_path)
    world = World(first.up, Ledger(), Random(1))
    tab = Tab(world, "t", "once", "tab", protocol="assistant-transport")
    try:
        await first.start()
        url = await first.up()
        command = {"type": "echo", "id": "a", "name": "a", "pieces": 1, "pause": 0}
        async with world.http as http:
            for number in range(2):
                body = {"commands": [{**command, "id": f"{number}"}], "threadId": "t"}
                assert (await http.post(f"{url}/assistant", json=body)).status_code == 200
                if number == 0:
                    await second.start()
                    assert await second.ended() == 1
            await tab.catch_up()
        assert tab.state["counts"] == {"a": 2}
        assert await first.stop() == 0
    finally:
        await first.aclose()
        await second.aclose()
    assert first.errors == b""
    problem = f"expected {first.file} to be free, but another process has it open"
    expected = f"statecast: {problem}; start one process (--workers 1), or give each its own file\n"
    assert second.errors.decode() == expected


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + bytes(5_000)])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    served = ServerProcess(tmp_path)
    served.file.write_bytes(content)
    await served.start()
    assert await served.ended() == 1
    assert served.errors.startswith(f"statecast: the store {served.file} failed: ".encode())
    assert served.errors.count(b"\n") == 1
    assert served.file.read_bytes() == content


async def test_a_server_that_takes_over_right_away_has_what_its_predecessor_kept(tmp_path: Path) -> None:
    served = ServerProcess(tmp_path)
    try:
        for number in range(3):
            await served.start()
            url = await served.up()
            async with httpx.AsyncClient() as http:
                command = {"type": "echo", "id": f"{number}", "name": f"{number}", "pieces": 1, "pause": 0}
                body = {"commands": [command], "threadId": "t"}
                assert (await http.post(f"{url}/assistant", json=body)).status_code == 200
                state = (await http.get(f"{url}/threads/t/state")).json()["state"]
            assert state["done"] == [f"{before}" for before in range(number + 1)]
            await served.kill()
    finally:
        await served.aclose()
