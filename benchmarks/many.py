"""E. Many streams at a pace: what a token waits between the mutation and the client, and what it costs the server.

Each token tells when it was made. The processor's time is the server's own, per token that arrived.
"""

from __future__ import annotations

import re
import statistics
from contextlib import ExitStack
from time import perf_counter, sleep

from .client import open_stream, read_many
from .harness import PEER, Options, Result, Samples, compare
from .plan import Plan, encode_plan, first_state
from .serving import Served

__all__ = ["LOADS", "PAUSE", "measure", "sample"]

PAUSE = 0.005  #: seconds between the tokens of a stream
SECONDS = 5.0  #: of each stream
LOADS = (200, 50)  #: streams

_STAMP = re.compile(rb'"value": ?"([\d.]+) "')


def measure(options: Options) -> list[Result]:
    """Measure at each load."""
    results = []
    for streams in LOADS:
        with ExitStack() as stack:
            apps = {"ours": "ours", "limit": "limit", PEER: "peer"}
            servers = {name: stack.enter_context(Served(app)) for name, app in apps.items()}
            figures: dict[str, Samples] = {
                figure: {name: [] for name in servers} for figure in ("p50", "p99", "cpu", "rate", "busy")
            }
            for index in range(options.of(3) + 1):
                for name, server in servers.items():
                    if name == PEER and index != 1:
                        continue  # its streams take several times as long
                    for figure, value in sample(server, streams).items():
                        if index:
                            figures[figure][name].append(value)
        for figure, unit, target, scale in (("p50", "ms", 1.5, 1e3), ("p99", "ms", 1.5, 1e3), ("cpu", "µs", 1.15, 1e6)):
            what = "server CPU per token" if figure == "cpu" else f"latency {figure}"
            only = target if streams == LOADS[0] else None
            results.append(compare(f"E. {streams} streams, {what}", unit, figures[figure], target=only, scale=scale))
        results.append(compare(f"E. {streams} streams, tokens delivered", "/s", figures["rate"], better="more"))
        results.append(compare(f"E. {streams} streams, the server's core in use", "share", figures["busy"]))
    return results


def sample(server: Served, streams: int, pause: float = PAUSE, *, opening: float | None = None) -> dict[str, float]:
    """Return the figures of so many streams with a token every `pause` seconds each.

    Args:
        server: Where they are opened.
        streams: How many.
        pause: Seconds.
        opening: Seconds in which all are surely open, if what that costs is to be left out.
    """
    wait = 0.2 if opening is None else opening
    count = round(SECONDS / pause)
    bodies = [
        encode_plan(
            Plan(kind="paced", count=count, pause=pause, delay=wait + pause * index / streams), state=first_state()
        )
        for index in range(streams)
    ]
    cpu, started = server.cpu_seconds(), perf_counter()
    connections = [open_stream(server.port, body) for body in bodies]
    if opening is not None:
        sleep(max(0.0, opening - (perf_counter() - started)))
        cpu, started = server.cpu_seconds(), perf_counter()
    got = read_many(connections)
    seconds, cpu = perf_counter() - started, server.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    waits = []
    for pieces in got:
        arrivals = [(at, float(made)) for at, data in pieces for made in _STAMP.findall(data)]
        waits += [at - made for at, made in arrivals[count // 10 :]]
    expected = streams * (count - count // 10)
    # A stamp that is split over two reads is not found; a few may be.
    assert expected * 0.98 <= len(waits) <= expected, f"{len(waits)} tokens of {expected}"
    cuts = statistics.quantiles(waits, n=100)
    tokens = streams * count
    return {
        "p50": cuts[49],
        "p99": cuts[98],
        "cpu": cpu / tokens,
        "rate": tokens / seconds,
        "busy": cpu / seconds,
    }
