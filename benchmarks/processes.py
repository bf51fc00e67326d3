"""AA. How many streams four processes serve on the machine's cores, beside one, at a p99 that both have to keep.

Each stream is a run with a token every 20 ms, read where it runs; the processes share an engine. The load rises step by
step until the p99 is too long.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from time import perf_counter

from .client import open_stream, read_many
from .harness import Options, Result, Samples, compare
from .kept import Kept
from .load import STAMPS
from .plan import Plan, encode_plan, first_state
from .running import ENGINES, running

__all__ = ["measure", "p99"]

PROCESSES = 4
PAUSE = 0.02
SECONDS = 3.0
OPENING = 0.01  #: seconds in which a stream is surely open
LATEST = 0.020  #: seconds of p99
STEP = 100  #: streams
MOST = 2_000
TARGET = 1.5


def measure(options: Options) -> list[Result]:
    """Measure on each engine, and with threads in memory, where processes share nothing."""
    results = []
    for engine in ENGINES:
        with running(engine) as url:
            samples: Samples = {"ours": [], "limit": []}
            for _ in range(options.of(3)):
                samples["limit"].append(_most(url, 1))
                samples["ours"].append(_most(url, PROCESSES))
        title = f"AA. {engine}, streams of {PROCESSES} processes at p99 ≤ {LATEST * 1e3:g} ms, vs one process"
        results.append(compare(title, "", samples, target=TARGET, better="more"))
    return results


def _most(url: str, processes: int) -> float:
    """Return the largest load, of those tried, at which the p99 is kept."""
    best = 0
    with ExitStack() as stack:
        servers = [stack.enter_context(Kept(url)) for _ in range(processes)]
        for streams in range(STEP, MOST + 1, STEP):
            if p99(servers, streams) > LATEST:
                break
            best = streams
    return float(best)


def p99(servers: list[Kept], streams: int) -> float:
    """Return what 99 of 100 tokens wait at most, with so many streams spread over the servers."""
    count = round(SECONDS / PAUSE)
    opening = OPENING * streams
    started = perf_counter()
    connections = []
    for index in range(streams):
        delay = max(0.0, opening - (perf_counter() - started)) + PAUSE * index / streams
        plan = Plan(kind="paced", count=count, pause=PAUSE, delay=delay)
        connections.append(open_stream(servers[index % len(servers)].port, encode_plan(plan, state=first_state())))
    got = read_many(connections)
    for connection in connections:
        connection.close()
    waits = []
    for pieces in got:
        stamps = [(at, float(made)) for at, data in pieces for made in b"".join(STAMPS.findall(data)).split()]
        waits += [at - made for at, made in stamps[count // 10 :]]
    return statistics.quantiles(waits, n=100)[98]
