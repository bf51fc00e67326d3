"""What several workers count, together: whichever worker is scraped. Slow, since it is some processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.workers.served import PATIENCE, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OPTIONS = ("my_agent:agent", "--workers", "3", "--port", "0", "--store", "sqlite:///threads.db", "--metrics")

AGENT = """
import os
from statecast import Agent

agent = Agent("mine")


@agent.on("pid")
def tell(run, command):
    run.state = {"pid": os.getpid()}
"""

DONE = 'statecast_runs_total{agent="mine",status="completed"}'


async def run_once(url: str) -> int:
    """Run the agent on a connection of its own, and return the worker that did."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        command = {"commands": [{"type": "pid"}], "state": None}
        posted = await client.post(f"{url}/assistant?protocol=assistant-transport", json=command)
        assert posted.status_code == 200, posted.text
        return int(posted.text.partition('"pid":')[2].partition("}")[0])


async def scraped(url: str, name: str) -> float | None:
    """Scrape some worker."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.get(f"{url}/metrics")
    assert answer.status_code == 200, answer.text
    lines = [line.split(" ") for line in answer.text.splitlines() if line.startswith(f"{name} ")]
    assert len(lines) <= 1, "a sample comes once"
    return float(lines[0][1]) if lines else None


async def test_each_scrape_has_what_all_workers_have_counted(tmp_path: Path) -> None:
    (tmp_path / "my_agent.py").write_text(AGENT, encoding="utf-8")
    async with served(tmp_path, *OPTIONS) as server:
        url = await server.url()
        served_by: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while len(set(served_by)) < 3:
                served_by.append(await run_once(url))
        for _ in range(6):
            assert await scraped(url, DONE) == len(served_by)
        assert await scraped(url, "statecast_open_requests"), "there is that of the scrape itself"

        os.kill(served_by[0], signal.SIGKILL)  # what it has counted still counts
        await server.until(lambda: len(server.workers()) == 4)
        for _ in range(4):
            assert await scraped(url, DONE) == len(served_by)

        server.process.send_signal(signal.SIGHUP)  # at their end, workers say what they have counted since
        served_by.append(await run_once(url))
        await server.until(lambda: "INFO: all workers were replaced" in server.lines)
        for _ in range(4):
            assert await scraped(url, DONE) == len(served_by)
        assert await server.stop() == 0
