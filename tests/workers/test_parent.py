"""The parent of several workers: what it starts, starts again, replaces and stops, and what it refuses.

Slow, since each is some processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from statecast.stores import SqliteStore
from tests.workers.served import PATIENCE, ROOT, Served, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STORE = ("--store", "sqlite:///threads.db")

AGENT = """
import os
from statecast import Agent, create_app, serve

agent = Agent("mine")
app = create_app(agent, store="sqlite:///threads.db")
forgetful = create_app(agent)


@agent.on("pid")
def tell(run, command):
    run.state = {"pid": os.getpid()}


if __name__ == "__main__":
    serve("my_agent:app", workers=2, port=int(os.environ["PORT"]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_agent.py").write_text(AGENT, encoding="utf-8")
    return tmp_path


async def pid_at(url: str) -> int:
    """Return the process that answers a request on a connection of its own."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        command = {"commands": [{"type": "pid"}], "state": None}
        posted = await client.post(f"{url}/assistant?protocol=assistant-transport", json=command)
        assert posted.status_code == 200, posted.text
        before, _, after = posted.text.partition('"pid":')
        assert after, before
        return int(after.partition("}")[0])


async def answering(url: str, workers: set[int]) -> None:
    """Wait until some workers have answered, and no others answer."""
    async with asyncio.timeout(PATIENCE):
        found: set[int] = set()
        while found != workers:
            found.add(await pid_at(url))
            assert found <= workers


async def test_workers_are_started_again_replaced_and_stopped(folder: Path) -> None:
    async with served(folder, "my_agent:agent", "--workers", "2", "--port", "0", "--grace", "0.2", *STORE) as server:
        url = await server.url()
        first, second = server.workers()
        (writer,) = server.writers()
        await answering(url, {first, second})

        os.kill(first, signal.SIGKILL)
        await server.until(lambda: len(server.workers()) > 2)
        third = server.workers()[-1]
        assert f"ERROR: worker {first} ended with status -9" in server.lines
        await answering(url, {second, third})

        os.kill(writer, signal.SIGKILL)
        await server.until(lambda: len(server.writers()) > 1)
        assert f"ERROR: process {writer}, which writes {folder / 'threads.db'}, ended with status -9" in server.lines
        await answering(url, {second, third})

        server.process.send_signal(signal.SIGHUP)
        await server.until(lambda: "INFO: all workers were replaced" in server.lines)
        fresh = set(server.workers()[3:])
        assert len(fresh) == 2
        await answering(url, fresh)

        (folder / "my_agent.py").write_text("raise ValueError('a mistake')", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        await server.until(lambda: "ERROR: a new worker did not start, so the old ones stay" in server.lines)
        assert "ValueError: a mistake" in server.lines
        await answering(url, fresh)

        assert await server.stop() == 0
    assert len(server.workers()) == 5
    store = SqliteStore(folder / "threads.db")
    await store.open()  # nobody else has it any more
    await store.aclose()


REFUSED = {
    "memory": (
        ["my_agent:agent", "--store", "memory"],
        2,
        "statecast: expected a store that several workers can share",
    ),
    "an app in memory": (["my_agent:forgetful"], 2, "statecast: expected a store that several workers can share"),
    "no target": (["my_agent:missing", *STORE], 2, 'statecast: the module "my_agent" has no "missing"'),
    "reload": (["my_agent:agent", "--reload", *STORE], 2, "statecast: expected one worker with --reload"),
    "another server": (["my_agent:agent", *STORE], 1, "statecast: expected"),
}


async def test_what_cannot_work_is_refused_in_one_line(folder: Path) -> None:
    async def refused(options: list[str]) -> tuple[int, list[str]]:
        async with served(folder, *options, "--workers", "2", "--port", "0") as server:
            return await server.ended(), server.lines

    store = SqliteStore(folder / "threads.db")
    await store.open()
    found = await asyncio.gather(*(refused(options) for options, _, _ in REFUSED.values()))
    await store.aclose()
    for (name, (_, status, problem)), (ended, lines) in zip(REFUSED.items(), found, strict=True):
        assert (ended, len(lines)) == (status, 1), (name, lines)
        assert lines[0].startswith(problem), name
    assert "another process has it open" in found[-1][1][0]


async def test_workers_of_an_app_that_python_serves_end_with_their_parent(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "my_agent.py",
        env={**os.environ, "PYTHONPATH": paths, "PORT": str(port)},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = Served(process)
    try:
        pids: set[int] = set()
        async with asyncio.timeout(PATIENCE):
            while len(pids) < 2:
                try:
                    pids.add(await pid_at(f"http://127.0.0.1:{port}"))
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)  # it has not bound the address yet
        assert process.pid not in pids
        process.kill()
        assert await server.ended() == -signal.SIGKILL  # they had its outputs open, too
    finally:
        await server.aclose()
