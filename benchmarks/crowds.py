"""AC. As many followers as one process may have sockets for, of runs in another process, over an engine.

Linux gives a process about 20,000 sockets where nobody has raised its hard limit; both the server and the client keep
some for themselves.
"""

from __future__ import annotations

import re
import secrets
import selectors
import socket
import statistics
import time
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from .client import open_stream
from .elsewhere import joined
from .fanout import ENDS
from .harness import Options, Result, compare, within
from .idle import allow_sockets
from .kept import Kept
from .load import STAMPS
from .plan import Plan, encode_plan, first_state
from .running import running

__all__ = ["measure", "sample"]

FOLLOWERS = 19_500
THREADS = 100
PAUSES = (1.0, 0.5)  #: seconds between the tokens of a thread
TOKENS = 10  #: of each thread
ALLOWED = 100.0  #: milliseconds
_FRAMES = re.compile(rb"\ndata: ")


def measure(options: Options) -> list[Result]:
    """Measure with a token of each thread a second, and with two."""
    allow_sockets(FOLLOWERS + 400)
    results = []
    for pause in PAUSES:
        found = [sample("redis", FOLLOWERS, THREADS, pause) for _ in range(options.of(1))]
        title = f"AC. {FOLLOWERS:,} followers of {THREADS} threads, a token each {pause:g} s"
        for figure, unit, allowed, scale in (("p50", "ms", ALLOWED, 1e3), ("p99", "ms", ALLOWED, 1e3)):
            values = [each[figure] for each in found]
            results.append(within(f"{title}, {figure}", unit, values, allowed, scale=scale))
        for figure, what, unit, limit, scale in (
            ("frames", "frames", "/s", FOLLOWERS / pause, 1.0),
            ("cpu", "server CPU a frame", "µs", 10e-6, 1e6),
            ("memory", "memory each", "KB", 12.5e3, 1e-3),
            ("bytes", "a frame", "B", 200.0, 1.0),
        ):
            samples = {"ours": [each[figure] for each in found], "limit": [limit]}
            results.append(compare(f"{title}, {what}", unit, samples, scale=scale))
    return results


def sample(engine: str, followers: int, threads: int, pause: float) -> dict[str, float]:
    """Return the figures of so many followers in one process, spread over threads whose runs are in another."""
    names = [f"crowd-{secrets.token_hex(6)}" for _ in range(threads)]
    with running(engine) as url, Kept(url) as here, Kept(url) as there, ExitStack() as stack:
        for name in names:
            body = encode_plan(Plan(kind="nothing"), state=first_state(), threadId=name)
            with open_stream(here.port, body) as connection:
                connection.settimeout(30)
                while not connection.recv(1 << 16).endswith(b"0\r\n\r\n"):
                    pass
        for name in names:
            stack.enter_context(joined(there, name))
        before = there.memory()
        connections = [stack.enter_context(joined(there, names[index % threads])) for index in range(followers)]
        memory = (there.memory() - before) / followers
        started = perf_counter()
        for index, name in enumerate(names):
            delay = 1.0 - (perf_counter() - started) + pause * index / threads
            plan = Plan(kind="paced", count=TOKENS, pause=pause, delay=max(0.0, delay))
            with open_stream(here.port, encode_plan(plan, threadId=name)) as connection:
                connection.settimeout(30)
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        cpu = there.cpu_seconds()
        waits, frames, size = _read(connections)
        took = perf_counter() - started - 1.0
        cpu = there.cpu_seconds() - cpu
    cuts = statistics.quantiles(waits, n=100)
    return {
        "p50": cuts[49],
        "p99": cuts[98],
        "frames": len(waits) / took,
        "cpu": cpu / frames,
        "memory": memory,
        "bytes": size / frames,
    }


def _read(connections: list[socket.socket]) -> tuple[list[float], int, int]:
    """Read until all runs have ended; returns what tokens waited, and how many frames of how many bytes came."""
    waits: list[float] = []
    frames = size = 0
    quiet = time.monotonic() + 120
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            connection.setblocking(False)
            key: Any = connection.recv
            ready.register(connection, selectors.EVENT_READ, key)
        while ready.get_map():
            assert time.monotonic() < quiet, f"{len(ready.get_map())} followers wait for the end"
            for ended, _ in ready.select(1.0):
                data = ended.data(1 << 16)
                now = perf_counter()
                size += len(data)
                frames += len(_FRAMES.findall(data))
                waits += [now - float(made) for made in b"".join(STAMPS.findall(data)).split()]
                if data.endswith(ENDS) or not data:
                    ready.unregister(ended.fileobj)
    return waits, frames, size
