"""S. A thousand streams at the rate of 200 in E: what a token costs when the server has more streams than its cache."""

from __future__ import annotations

from contextlib import ExitStack

from .harness import PEER, Options, Result, Samples, compare
from .many import PAUSE, sample
from .serving import Served

__all__ = ["measure"]

STREAMS = 1_000
LIKE = 200  #: streams of E that say as much


def measure(options: Options) -> list[Result]:
    """Measure the processor time per token."""
    pause = PAUSE * STREAMS / LIKE
    with ExitStack() as stack:
        apps = {"ours": "ours", "limit": "limit", PEER: "peer"}
        servers = {name: stack.enter_context(Served(app)) for name, app in apps.items()}
        figures: dict[str, Samples] = {figure: {name: [] for name in servers} for figure in ("cpu", "p99", "busy")}
        for index in range(options.of(3) + 1):
            for name, server in servers.items():
                if name == PEER and index != 1:
                    continue  # its streams take several times as long
                found = sample(server, STREAMS, pause)
                for figure, samples in figures.items():
                    if index:
                        samples[name].append(found[figure])
    title = f"S. {STREAMS:,} streams at the total rate of {LIKE}"
    return [
        compare(f"{title}, server CPU per token", "µs", figures["cpu"], target=1.25, scale=1e6),
        compare(f"{title}, latency p99", "ms", figures["p99"], scale=1e3),
        compare(f"{title}, the server's core in use", "share", figures["busy"]),
    ]
