"""A process that is asked to stop ends in time, whatever blocks, and only a signal ends it.

Slow, since each is a process: only there are signals, an exit status, and an interpreter that waits for its threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PATIENCE = 40  #: seconds after which a process counts as hanging; what blocks it does so for a minute

SERVED = """
import asyncio, concurrent.futures, sys, threading, time
import anyio
from statecast import Agent, Run, UntypedCommand, server

server.STOPPING, server.CONNECTIONS = 4.0, 1
agent = Agent(cancel_seconds=0.1)
pool = concurrent.futures.ThreadPoolExecutor()


@agent.on("plain function")
def plain(run, command):
    run.state = "begun"
    time.sleep(60)


@agent.on("event loop")
async def stands_still(run, command):
    run.state = "begun"
    await asyncio.sleep(0.1)
    time.sleep(60)


@agent.on("asyncio's thread")
async def in_asyncios(run, command):
    run.state = "begun"
    await asyncio.to_thread(time.sleep, 60)


@agent.on("anyio's thread")
async def in_anyios(run, command):
    run.state = "begun"
    await anyio.to_thread.run_sync(time.sleep, 60)


@agent.on("pool")
async def in_a_pool(run, command):
    run.state = "begun"
    await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 60)


@agent.on("thread")
async def in_a_thread(run, command):
    threading.Thread(target=time.sleep, args=(60,)).start()
    run.state = "begun"


@agent.on("stubborn task")
async def stubborn(run, command):
    run.state = "begun"
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


@agent.on("exit")
async def exits(run, command):
    run.state = "begun"
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(60)


@agent.on("hello")
async def hello(run, command):
    run.state = "begun"


app = server.create_app(agent)
config = server.config_for(app, port=0, log_level="critical")
server.Server(config, app, grace=0.1, on_started=lambda port: print(port, flush=True)).run()
"""

BLOCKS = (
    "plain function",
    "event loop",
    "asyncio's thread",
    "anyio's thread",
    "pool",
    "thread",
    "stubborn task",
)


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[tuple[Process, int]]:
    """Yield a server's process, and its port."""
    (tmp_path / "served.py").write_text(SERVED, encoding="utf-8")
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "served.py", cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def running(port: int, kind: str) -> AsyncIterator[None]:
    """Have a run that has begun."""
    async with connected(port) as (reader, writer):
        thread_id = kind.translate({32: "-", 39: "-"})
        body = json.dumps({"threadId": thread_id, "commands": [{"type": kind}]}).encode()
        head = f"POST /assistant HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"content-type: application/json\r\n\r\n" + body)
        await reader.readuntil(b"begun")
        yield


async def ended(process: Process) -> int:
    async with asyncio.timeout(PATIENCE):
        return await process.wait()


@pytest.mark.parametrize("kind", BLOCKS)
async def test_a_process_that_is_asked_to_stop_ends_in_time(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path) as (process, port), running(port, kind):
        if kind == "event loop":
            await asyncio.sleep(0.3)  # there is no fact to wait for: it stands still
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == (1 if kind == "event loop" else 0)


@pytest.mark.parametrize("kind", ["plain function", "event loop"])
async def test_a_second_interrupt_ends_it_at_once(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path) as (process, port), running(port, kind):
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.05)  # two signals that wait together are one
        process.send_signal(signal.SIGINT)
        assert await ended(process) in (128 + signal.SIGINT, 0)


async def test_an_upload_that_does_not_go_on_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, port), connected(port) as (reader, writer):
        head = b"POST /assistant HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n"
        writer.write(head + b"expect: 100-continue\r\n\r\n")
        assert b"100" in await reader.readline()
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0


async def test_what_raises_an_exit_outside_of_any_task_does_not_end_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, port), running(port, "exit"):
        async with running(port, "hello"):
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0
