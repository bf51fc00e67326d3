"""Y. From a mutation in one process to a follower of another one, over an engine, beside the engine's plain commands.

The client starts runs in one server, reads no more of them there, and follows their threads in the other one. The limit
is `bare`: two processes that do nothing but write tokens to the same engine at the same pace, hint, and read them.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import statistics
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from .bare import bare
from .client import open_stream
from .fanout import ENDS
from .harness import Options, Result, Samples, compare, within
from .idle import allow_sockets
from .kept import Kept
from .load import STAMPS
from .plan import Plan, encode_plan, first_state
from .running import ENGINES, running

__all__ = ["follow", "joined", "measure", "sample"]

PAUSE = 0.005  #: seconds between the tokens of a run
SECONDS = 3.0
RUNS = (200, 50)
FOLLOWED = 10_000  #: threads that one process follows, of which some have runs
TALKING = 100  #: of these, with a token each `SLOWLY`
SLOWLY = 0.1
ALLOWED = {"p50": 2.0, "p99": 10.0}  #: milliseconds


def measure(options: Options) -> list[Result]:
    """Measure on each engine, at each load, and with many threads followed."""
    allow_sockets(FOLLOWED + 1_000)
    results = []
    for engine in ENGINES:
        with running(engine) as url, Kept(url) as here, Kept(url) as there:
            for runs in RUNS:
                results += _lines(
                    f"Y. {engine}, {runs} runs, a token each {PAUSE * 1e3:g} ms",
                    [
                        (sample(here, there, runs, PAUSE), bare(engine, url, runs, PAUSE, SECONDS))
                        for _ in range(options.of(3) + 1)
                    ],
                )
            with ExitStack() as stack:
                for connection in follow(here, there, FOLLOWED):
                    stack.enter_context(connection)
                results += _lines(
                    f"Y. {engine}, {FOLLOWED:,} threads followed",
                    [
                        (sample(here, there, TALKING, SLOWLY), bare(engine, url, TALKING, SLOWLY, SECONDS))
                        for _ in range(options.of(3) + 1)
                    ],
                )
    return results


def _lines(title: str, found: list[tuple[dict[str, float], dict[str, float]]]) -> list[Result]:
    results = []
    for figure, allowed in ALLOWED.items():
        samples: Samples = {
            "ours": [ours[figure] for ours, _ in found[1:]],
            "limit": [limit[figure] for _, limit in found[1:]],
        }
        results.append(within(f"{title}, to a follower elsewhere, {figure}", "ms", samples["ours"], allowed, scale=1e3))
        results.append(compare(f"{title}, vs bare writes and reads, {figure}", "ms", samples, scale=1e3))
    for figure, what in (("here", "the process that runs"), ("there", "the process that follows")):
        busy: Samples = {"ours": [ours[figure] for ours, _ in found[1:]], "limit": [1.0]}
        results.append(compare(f"{title}, {what}, cores", "", busy))
    return results


def sample(here: Kept, there: Kept, runs: int, pause: float, seconds: float = SECONDS) -> dict[str, float]:
    """Return what tokens of so many runs waited, and how busy the two servers were."""
    count = round(seconds / pause)
    opening = 0.5 + runs / 100
    threads = [f"elsewhere-{secrets.token_hex(6)}" for _ in range(runs)]
    started = perf_counter()
    for index, thread in enumerate(threads):
        delay = opening - (perf_counter() - started) + pause * index / runs
        plan = Plan(kind="paced", count=count, pause=pause, delay=max(0.0, delay))
        with open_stream(here.port, encode_plan(plan, state=first_state(), threadId=thread)) as connection:
            connection.settimeout(30)
            begun = connection.recv(1 << 16)
            assert begun.startswith(b"HTTP/1.1 200"), begun
    with ExitStack() as stack:
        followers = [stack.enter_context(joined(there, thread)) for thread in threads]
        late = perf_counter() - started - opening
        assert late < 0.5, f"the followers were there {late:.1f} s late"
        before = here.cpu_seconds(), there.cpu_seconds()
        got = _read(followers)
        took = perf_counter() - started - opening
        busy = [(server.cpu_seconds() - then) / took for server, then in zip((here, there), before, strict=True)]
    waits = []
    for pieces in got:
        stamps = [(at, float(made)) for at, data in pieces for made in b"".join(STAMPS.findall(data)).split()]
        waits += [at - made for at, made in stamps[count // 10 :]]
    cuts = statistics.quantiles(waits, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "here": busy[0], "there": busy[1], "rate": len(waits) / took}


def follow(here: Kept, there: Kept, threads: int) -> list[socket.socket]:
    """Make so many threads in one server, and follow each in the other one; returns the connections."""
    connections = []
    for index in range(threads):
        thread = f"followed-{index}-{secrets.token_hex(4)}"
        body = encode_plan(Plan(kind="nothing"), state=first_state(), threadId=thread)
        with open_stream(here.port, body) as connection:
            connection.settimeout(30)
            while not connection.recv(1 << 16).endswith(b"0\r\n\r\n"):
                pass
        connections.append(joined(there, thread))
    return connections


def joined(server: Kept, thread: str) -> socket.socket:
    """Follow a thread's events, and wait for the first."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(f"GET /threads/{thread}/events HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    data = b""
    while not data.endswith(b"\n\n\r\n"):
        piece = connection.recv(1 << 16)
        assert piece, data
        data += piece
    assert data.startswith(b"HTTP/1.1 200"), data[:500]
    return connection


def _read(connections: list[socket.socket]) -> list[list[tuple[float, bytes]]]:
    """Read until all have heard that the run has ended; returns for each what came, and when."""
    got: list[list[tuple[float, bytes]]] = [[] for _ in connections]
    with selectors.DefaultSelector() as ready:
        for connection, pieces in zip(connections, got, strict=True):
            connection.setblocking(False)
            key: Any = (connection.recv, pieces.append)
            ready.register(connection, selectors.EVENT_READ, key)
        while ready.get_map():
            for key, _ in ready.select():
                receive, append = key.data
                data = receive(1 << 18)
                append((perf_counter(), data))
                if data.endswith(ENDS) or not data:
                    ready.unregister(key.fileobj)
    return got
