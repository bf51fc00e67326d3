"""L. A file with 10,000 threads, beside one with ten: what listing, opening a stored thread and appending to one cost.

What a store lists is what a server asks it for: the threads with work left, and those whose time is over.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import msgspec

from statecast.stores import Appended, Change, Created, Key, SqliteStore
from statecast_agents import new_id

from .client import open_stream, read_many
from .harness import Options, Result, Samples, compare
from .kept import Kept
from .plan import Plan, encode_plan, first_state, token

__all__ = ["fill", "measure", "sample"]

MANY, FEW = 10_000, 10
LISTINGS = 50
ENTRIES = 20  #: of each thread, after its snapshot
STREAMS, SECONDS, PAUSE = 10, 2.0, 0.005


def measure(options: Options) -> list[Result]:
    """Measure on copies of the two files, with a server that has just started."""
    figures: dict[str, Samples] = {what: {"ours": [], "limit": []} for what in ("list", "open", "wait", "append")}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name / "threads.db" for name in ("ours", "limit")}
        for name, threads in (("ours", MANY), ("limit", FEW)):
            asyncio.run(fill(files[name], threads))
        for index in range(options.of(5) + 1):
            for name, threads in (("ours", MANY), ("limit", FEW)):
                found = sample(files[name], threads, index)
                for what, values in found.items():
                    if index:
                        figures[what][name] += values
    lines = (
        ("list", f"L. listing the pending work of {MANY:,} threads, vs {FEW}, time", 1e6, "µs"),
        ("open", f"L. opening one of {MANY:,} threads, vs {FEW}, server CPU", 1e6, "µs"),
        ("wait", f"L. opening one of {MANY:,} threads, vs {FEW}, time", 1e3, "ms"),
        ("append", f"L. a token with {MANY:,} threads, vs with {FEW}, server CPU", 1e6, "µs"),
    )
    return [compare(title, unit, figures[what], target=1.3, scale=scale) for what, title, scale, unit in lines]


async def fill(path: Path, threads: int) -> None:
    """Make a file of threads that were talked on, and are at rest."""
    path.parent.mkdir()
    store = SqliteStore(path)
    await store.open()
    state = first_state()
    state["messages"] += [{"role": "user", "parts": [{"type": "text", "text": "x" * 100}]} for _ in range(20)]
    encoded = msgspec.json.encode(state)
    append = '[{"type":"append-text","path":["messages","0","parts","0","text"],"value":"%s"}]'
    changes: list[Change] = []
    for index in range(threads):
        key, run = Key(None, f"thread-{index}"), {"id": new_id("run")}
        changes.append(Created(key, "benchmark", f"{index:012x}", True, encoded))
        changes.append(Appended(key, 1, "run", msgspec.json.encode({**run, "status": "running"}), True))
        changes += [
            Appended(key, 2 + place, "operations", (append % token(place)).encode()) for place in range(ENTRIES)
        ]
        ended = msgspec.json.encode({**run, "status": "completed"})
        changes.append(Appended(key, 2 + ENTRIES, "run", ended, False))
        if len(changes) > 20_000:
            await store.commit(changes)
            changes = []
    await store.commit(changes)
    await store.aclose()


def sample(file: Path, threads: int, seed: int) -> dict[str, list[float]]:
    """Return the seconds of each part, on a copy of a file with so many threads."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        copy = Path(folder) / "copy" / file.name
        shutil.copytree(file.parent, copy.parent)  # with what the store has beside the file
        listing = asyncio.run(_list(copy))
        server = stack.enter_context(Kept(f"sqlite:///{copy}"))
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        _get(connection, "no-such-thread")
        waits, cpu = [], server.cpu_seconds()
        picked = random.Random(seed).sample(range(threads), FEW)
        for index in picked:
            started = perf_counter()
            _get(connection, f"thread-{index}")
            waits.append(perf_counter() - started)
        opening = (server.cpu_seconds() - cpu) / FEW
        cpu = server.cpu_seconds()
        _talk(server, [f"thread-{index}" for index in picked[:STREAMS]])
        appending = (server.cpu_seconds() - cpu) / (STREAMS * SECONDS / PAUSE)
        return {"list": listing, "open": [opening], "wait": waits, "append": [appending]}


async def _list(file: Path) -> list[float]:
    """Return the seconds that each of some listings took."""
    store = SqliteStore(file)
    await store.open()
    took = []
    for _ in range(LISTINGS):
        started = perf_counter()
        found = [await store.unfinished(), await store.idle_for(1e9, lasting=True)]
        took.append(perf_counter() - started)
        assert found == [[], []]
    await store.aclose()
    return took


def _get(connection: socket.socket, thread: str) -> None:
    """Ask for a thread's state."""
    connection.sendall(f"GET /threads/{thread}/state HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    data = connection.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(1 << 16)


def _talk(server: Kept, threads: list[str]) -> None:
    plan: Callable[[int], Plan] = lambda index: Plan(  # noqa: E731
        kind="paced", count=int(SECONDS / PAUSE), pause=PAUSE, delay=0.1 + PAUSE * index / STREAMS
    )
    connections = [
        open_stream(server.port, encode_plan(plan(index), threadId=thread)) for index, thread in enumerate(threads)
    ]
    for connection, pieces in zip(connections, read_many(connections), strict=True):
        connection.close()
        assert b"".join(data for _, data in pieces).startswith(b"HTTP/1.1 200"), pieces[:1]
