"""What the parent of several workers does where the machine fails it, or where it is asked or killed at a bad moment.

Slow, since each is some processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.workers.served import PATIENCE, Served, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OPTIONS = ("my_agent:agent", "--workers", "2", "--port", "0", "--grace", "0.2", "--store", "sqlite:///threads.db")

AGENT = """
from statecast import Agent

agent = Agent("mine")
"""

#: The first worker that imports it takes longer than the others.
SLOW = """
import time
from pathlib import Path

try:
    Path("begun").touch(exist_ok=False)
except FileExistsError:
    pass
else:
    while not Path("go-on").exists():
        time.sleep(0.05)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_agent.py").write_text(AGENT, encoding="utf-8")
    return tmp_path


@contextmanager
def no_descriptor_left(process: int) -> Iterator[None]:
    """Let a process open nothing more."""
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("which", ["worker", "writer"])
async def test_a_process_that_cannot_be_started_is_started_later(folder: Path, which: str) -> None:
    async with served(folder, *OPTIONS) as server:
        url = await server.url()
        found = server.workers if which == "worker" else server.writers
        before = found()
        with no_descriptor_left(server.process.pid):
            os.kill(before[0], signal.SIGKILL)
            await server.until(lambda: any("could not be started: " in line for line in server.lines))
        await server.until(lambda: len(found()) > len(before))
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE) as client:
            while (await client.get(f"{url}/health/ready")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await server.stop() == 0
    assert not any("Traceback" in line for line in server.lines)


async def test_workers_go_on_where_none_can_replace_them(folder: Path) -> None:
    async with served(folder, *OPTIONS) as server:
        await server.url()
        with no_descriptor_left(server.process.pid):
            server.process.send_signal(signal.SIGHUP)
            await server.until(lambda: "ERROR: a new worker did not start, so the old ones stay" in server.lines)
        server.process.send_signal(signal.SIGHUP)
        await server.until(lambda: "INFO: all workers were replaced" in server.lines)
        assert await server.stop() == 0


async def test_a_folder_where_no_socket_can_be_is_refused_in_one_line(folder: Path) -> None:
    long = folder / ("x" * 120)
    long.mkdir()
    async with served(folder, *OPTIONS, environment={"TMPDIR": str(long)}) as server:
        assert await server.ended() == 1
    (line,) = server.lines
    assert line.startswith("statecast: the process that writes "), line
    assert str(long) in line
    assert list(long.iterdir()) == []


async def test_the_writer_removes_its_socket_where_the_parent_was_killed(folder: Path) -> None:
    temporary = folder / "tmp"
    temporary.mkdir()
    async with served(folder, *OPTIONS, environment={"TMPDIR": str(temporary)}) as server:
        await server.url()
        (place,) = temporary.iterdir()
        assert (place.stat().st_mode & 0o777, [one.name for one in place.iterdir()]) == (0o700, ["writer"])
        server.process.kill()
        assert await server.ended() == -signal.SIGKILL
    assert list(temporary.iterdir()) == []


async def test_workers_that_still_start_are_replaced_once_they_have(folder: Path) -> None:
    (folder / "my_agent.py").write_text(SLOW + AGENT, encoding="utf-8")
    async with served(folder, *OPTIONS) as server:
        async with asyncio.timeout(PATIENCE):
            while not (folder / "begun").exists():  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(2.0)  # in which another one would start, and end the first
        (folder / "go-on").touch()
        await server.until(lambda: "INFO: all workers were replaced" in server.lines)
        assert len(server.workers()) == 4
        assert await server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_is_stopped_while_it_starts(folder: Path, number: int) -> None:
    (folder / "my_agent.py").write_text(SLOW + AGENT, encoding="utf-8")
    async with served(folder, *OPTIONS) as server:
        async with asyncio.timeout(PATIENCE):
            while not (folder / "begun").exists():  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.02)
        server.process.send_signal(number)
        assert await server.ended() == 0
    assert server.lines == []


async def test_where_a_worker_cannot_start_the_other_one_answers_everything(folder: Path) -> None:
    (folder / "my_agent.py").write_text(f"{AGENT}\nassert not __import__('os').path.exists('broken')", encoding="utf-8")
    async with served(folder, *OPTIONS) as server:
        url = await server.url()
        before = server.workers()
        (folder / "broken").touch()
        os.kill(before[0], signal.SIGKILL)
        await server.until(lambda: sum("ended with status 2" in line for line in server.lines) > 1)
        for _ in range(20):
            async with httpx.AsyncClient(timeout=PATIENCE / 10) as client:
                assert (await client.get(f"{url}/health/live")).status_code == 200
        (folder / "broken").unlink()
        await server.until(lambda: len(server.workers()) > len(before))
        processes: set[str] = set()
        async with asyncio.timeout(PATIENCE):
            while len(processes) < 2:
                async with httpx.AsyncClient(timeout=PATIENCE) as client:
                    processes.add((await client.get(f"{url}/health")).json()["process"])
        assert await server.stop() == 0


async def test_every_process_writes_its_log_as_json_and_health_names_the_store(folder: Path) -> None:
    async with served(folder, *OPTIONS, "--log-format", "json", "--metrics") as server:
        url = await at(server)
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            health = (await client.get(f"{url}/health")).json()
        assert (health["store"], health["durability"]) == ("sqlite", "process")
        assert await server.stop() == 0
    records = [json.loads(line) for line in server.lines if not line.startswith("Statecast serves")]
    assert {record["level"] for record in records} == {"info"}
    assert any(" writes " in record["message"] for record in records)


async def at(server: Served) -> str:
    """Return where a server is."""
    found = await server.until(
        lambda: [match[0] for line in server.lines if (match := re.search(r"http://\S+:\d+", line))]
    )
    return found[0]
