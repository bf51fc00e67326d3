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

__all__ = ["measure"]

STREAMS = 1_000
FIRST = 50  #: opened before, so that what a server makes once is not counted


def measure(options: Options) -> list[Result]:
    """Measure with the same requests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 200
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted, hard)
        )
    sides = {"ours": lambda: _each("ours"), "limit": lambda: _each("response"), PEER: lambda: _each("peer")}
    samples = interleave(sides, options.of(3), warm=0)
    return [compare(f"G. each of {STREAMS:,} idle streams", "KB", samples, target=0.85, scale=1e-3)]


def _each(app: str) -> float:
    body = encode_plan(Plan(kind="wait"), state=first_state())
    connections = []
    with Served(app) as server:
        try:
            for index in range(FIRST + STREAMS):
                if index == FIRST:
                    before = _settled(server)
                connection = open_stream(server.port, body)
                connection.settimeout(20)
                connection.recv(4096)
                connections.append(connection)
            return (_settled(server) - before) / STREAMS
        finally:
            for connection in connections:
                connection.close()


def _settled(server: Served) -> int:
    time.sleep(0.5)
    return server.memory()
