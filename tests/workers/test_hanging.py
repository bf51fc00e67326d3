"""A worker whose event loop stands still is replaced. Slow, since it is some processes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import httpx
import pytest

from tests.workers.served import PATIENCE, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OPTIONS = ("my_agent:agent", "--workers", "2", "--port", "0", "--grace", "0.2", "--store", "sqlite:///threads.db")

#: Its first run blocks. Nothing of it is stored, so it runs again in another worker.
AGENT = """
import time
from pathlib import Path
from statecast import Agent

agent = Agent("mine")


@agent.on("block")
async def block(run, command):
    try:
        Path("blocked").touch(exist_ok=False)
    except FileExistsError:
        return
    while True:
        time.sleep(1)
"""


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "my_agent.py").write_text(AGENT, encoding="utf-8")
    async with served(tmp_path, *OPTIONS, "--worker-timeout", "4") as server:
        url = await server.url()
        before = server.workers()
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            with contextlib.suppress(httpx.TransportError):  # its connection ends with the worker
                body = {"threadId": "t", "commands": [{"type": "block"}], "state": None}
                await client.post(f"{url}/assistant?protocol=assistant-transport", json=body)
            said = re.compile(r"ERROR: worker (\d+) hangs: its event loop was blocked for 4 seconds")
            (hung, *_) = await server.until(
                lambda: [int(found[1]) for line in server.lines if (found := said.match(line))]
            )
            assert hung in before
            await server.until(lambda: f"ERROR: worker {hung} ended with status -9" in server.lines)
            await server.until(lambda: len(server.workers()) > len(before))
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE) as client:
            while (await client.get(f"{url}/status/t")).json()["status"] != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await server.stop() == 0
