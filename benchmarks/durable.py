"""J. The streams of E on threads that are kept in a file, beside the same on threads in memory."""

from __future__ import annotations

from contextlib import ExitStack

from .harness import Options, Result, Samples, compare
from .kept import STORES, kept_server
from .many import LOADS, sample

__all__ = ["measure"]


def measure(options: Options) -> list[Result]:
    """Measure at each load; memory is the limit."""
    results = []
    for streams in LOADS:
        with ExitStack() as stack:
            servers = {store: stack.enter_context(kept_server(store)) for store in STORES}
            figures: dict[str, Samples] = {
                figure: {name: [] for name in servers} for figure in ("p50", "p99", "cpu", "busy")
            }
            for index in range(options.of(3) + 1):
                for name, server in servers.items():
                    found = sample(server, streams)
                    for figure, samples in figures.items():
                        if index:
                            samples[name].append(found[figure])
        for figure, what, unit, target, scale in (
            ("p50", "latency p50", "ms", 4.0, 1e3),
            ("p99", "latency p99", "ms", 2.0 if streams == LOADS[0] else 1.5, 1e3),
            ("cpu", "server CPU per token", "µs", 1.6, 1e6),
            ("busy", "cores in use", "", None, 1.0),
        ):
            title = f"J. {streams} streams kept in SQLite, {what}"
            only = target if streams == LOADS[0] or figure in ("p99", "cpu") else None
            results.append(
                compare(title, unit, figures[figure], target=only, ours="sqlite", limit="memory", scale=scale)
            )
    return results
