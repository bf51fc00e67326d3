"""A FastAPI app with agents under the servers that people run: asked to stop, and started with too many workers.

Slow, since each is a process: only there does a server of another project get a signal, wait for its streams, and write
what it thinks of that into its log.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PATIENCE = 60  #: seconds after which a process counts as hanging

#: Its run goes on beyond the patience, so that no test passes by waiting.
SERVED = """
import asyncio
from functools import partial
from fastapi import FastAPI
from statecast import Agent, create_app
from statecast.stores import SqliteStore

agent = Agent()


@agent.on("work")
async def work(run, command):
    run.state = "begun"
    await asyncio.sleep(3_600)


agents = create_app(agent, store=SqliteStore("threads.db", patience=0.2))
app = FastAPI(lifespan=partial(agents.lifespan, grace=0.1))
app.mount("/agents", agents)
"""

#: The modules of servers, with their options as docs/guides/web-applications.md gives them.
SERVERS = {
    "uvicorn": "uvicorn served:app --port {port}",
    "gunicorn with uvicorn's worker": (
        "gunicorn served:app --worker-class uvicorn_worker.UvicornWorker --bind 127.0.0.1:{port}"
    ),
    "gunicorn": "gunicorn served:app --worker-class asgi --bind 127.0.0.1:{port}",
    "granian": "granian --interface asgi served:app --port {port}",
    "hypercorn": "hypercorn served:app --workers 0 --graceful-timeout 20 --bind 127.0.0.1:{port}",
}

#: How each is given two workers. A server that goes on with the one that could start is not among them.
TWO_WORKERS = {
    "uvicorn": "--workers 2",
    "gunicorn with uvicorn's worker": "--workers 2",
    "gunicorn": "--workers 2 --graceful-timeout 1",
    "granian": "--workers 2",
}

#: In a log: an error, a warning or a traceback.
COMPLAINT = re.compile(rb"Traceback|\bERROR\b|\bCRITICAL\b|\bWARN|Exception")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def started(folder: Path, command: str) -> AsyncIterator[Process]:
    """Yield the process of a server; its output is what the pipe holds."""
    (folder / "served.py").write_text(SERVED, encoding="utf-8")
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command.split(), cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def connected(process: Process, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection, once there is one."""
    async with asyncio.timeout(PATIENCE):
        while process.returncode is None:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)  # it is another process's
    raise AssertionError("the server ended before it was asked anything")


async def ask(writer: asyncio.StreamWriter, thread_id: str) -> None:
    """Ask for a run that works until it is interrupted."""
    body = json.dumps({"threadId": thread_id, "commands": [{"type": "work"}]}).encode()
    head = f"POST /agents/assistant HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"content-type: application/json\r\n\r\n" + body)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_that_is_asked_to_stop_ends_its_streams_and_stops(server: str, tmp_path: Path) -> None:
    port = free_port()
    async with started(tmp_path, SERVERS[server].format(port=port)) as process:
        streams = [await connected(process, port) for _ in range(2)]
        for number, (reader, writer) in enumerate(streams):
            await ask(writer, f"t{number}")
            async with asyncio.timeout(PATIENCE):
                await reader.readuntil(b"begun")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            ends = [await reader.read() for reader, _ in streams]
            for _, writer in streams:
                writer.close()
            output, _ = await process.communicate()
    for end in ends:
        assert end.endswith(b'3:"The server stopped before the run had ended."\n\r\n0\r\n\r\n')
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn ends as the signal would have ended it
    assert COMPLAINT.findall(output) == [], output.decode()
    assert (tmp_path / "threads.db-stopped").exists(), "the store was not closed"


async def output_of_two_workers(server: str, folder: Path) -> bytes:
    """Start a server with two workers, and return what it wrote until it ended."""
    folder.mkdir()
    command = f"{SERVERS[server].format(port=free_port())} {TWO_WORKERS[server]}"
    async with started(folder, command) as process:
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
    return output


async def test_a_second_worker_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """All servers at once: each waits for most of the time."""
    outputs = await asyncio.gather(
        *(output_of_two_workers(server, tmp_path / str(place)) for place, server in enumerate(TWO_WORKERS))
    )
    for server, output in zip(TWO_WORKERS, outputs, strict=True):
        text = output.decode()
        assert "another process has it open; start one process (--workers 1), or give each its own file" in text, server
        assert "sqlite3" not in text, f"{server}: the traceback is one of the store's insides"
