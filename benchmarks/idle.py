"""G. Idle open streams: what each holds of the server's memory, beside starlette's `StreamingResponse`.

Each is a `POST /assistant` with a thread and a run of its own, whose agent waits.
"""

from __future__ import annotations

import resource
import time

from .client import open_stream
from .harness import PEER, Options, Result, compare, interleave
from .plan import Plan, encode_plan, first_state
from .serving import Served

__all__ = ["allow_sockets", "each", "measure", "settled"]

STREAMS = 1_000
FIRST = 50  #: opened before, so that what a server makes once is not counted


def measure(options: Options) -> list[Result]:
    """Measure with the same requests."""
    allow_sockets(2 * STREAMS + 200)
    sides = {"ours": lambda: each("ours"), "limit": lambda: each("response"), PEER: lambda: each("peer")}
    samples = interleave(sides, options.of(3), warm=0)
    return [compare(f"G. each of {STREAMS:,} idle streams", "KB", samples, target=0.65, scale=1e-3)]


def allow_sockets(wanted: int) -> None:
    """Let this process, and the servers it starts, open so many sockets, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def each(app: str) -> float:
    """Return the bytes of memory that each stream holds."""
    body = encode_plan(Plan(kind="wait"), state=first_state())
    connections = []
    with Served(app) as server:
        try:
            for index in range(FIRST + STREAMS):
                if index == FIRST:
                    before = settled(server)
                connection = open_stream(server.port, body)
                connection.settimeout(20)
                connection.recv(4096)
                connections.append(connection)
            return (settled(server) - before) / STREAMS
        finally:
            for connection in connections:
                connection.close()


def settled(server: Served) -> int:
    """Return the bytes of memory in use a moment later."""
    time.sleep(0.5)
    return server.memory()
