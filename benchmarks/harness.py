"""What every measure shares: interleaved rounds, medians, and the table.

Rule 1: what is compared is measured in the same rounds, one after the other, so that a machine that slows down slows
all of them.
Rule 2: the figure is the median over the rounds, and the ratio is that of the medians.
"""

from __future__ import annotations

import gc
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

__all__ = ["PEER", "Options", "Result", "compare", "interleave", "machine", "median", "table", "within"]

PEER = "assistant-stream"

Samples = dict[str, list[float]]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int | None = None  #: None: as many as the measure needs to be steady

    def of(self, usual: int) -> int:
        """Return how many rounds to make where `usual` are enough."""
        return usual if self.rounds is None else self.rounds


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    measure: str
    unit: str
    ours: float
    limit: float | None = None  #: what it is compared with, in the same unit
    ratio: float
    target: float | None = None  #: None: for information
    better: Literal["less", "more"] = "less"
    peer: float | None = None  #: assistant-stream's ratio to the same limit
    spread: tuple[float, float] | None = None  #: the smallest and the largest ratio of several runs
    samples: Samples = {}

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        met = self.ratio <= self.target if self.better == "less" else self.ratio >= self.target
        return "ok" if met else "over" if self.better == "less" else "under"


def interleave(sides: Mapping[str, Callable[[], float]], rounds: int, *, warm: int = 1) -> Samples:
    """Measure each of `sides` once per round, `rounds` times; the first `warm` rounds are thrown away."""
    samples: Samples = {name: [] for name in sides}
    for index in range(warm + rounds):
        for name, measure in sides.items():
            gc.collect()
            value = measure()
            if index >= warm:
                samples[name].append(value)
    return samples


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def compare(
    measure: str,
    unit: str,
    samples: Samples,
    *,
    target: float | None = None,
    better: Literal["less", "more"] = "less",
    ours: str = "ours",
    limit: str = "limit",
    peer: str = PEER,
    scale: float = 1.0,
) -> Result:
    """Return what `interleave` measured as a line: the medians, times `scale`, and their ratios."""
    mine, bound = median(samples[ours]) * scale, median(samples[limit]) * scale
    other = median(samples[peer]) * scale / bound if samples.get(peer) else None
    kept = {name: [value * scale for value in samples[name]] for name in (ours, limit, peer) if samples.get(name)}
    return Result(
        measure=measure,
        unit=unit,
        ours=mine,
        limit=bound,
        ratio=mine / bound,
        target=target,
        better=better,
        peer=other,
        samples=kept,
    )


def within(measure: str, unit: str, samples: Iterable[float], allowed: float, *, scale: float = 1.0) -> Result:
    """Return samples as a line whose limit is what is allowed, in the line's unit, rather than what was measured."""
    return compare(measure, unit, {"ours": list(samples), "limit": [allowed / scale]}, target=1.0, scale=scale)


def table(results: Iterable[Result]) -> str:
    """Return results as a table, in Markdown; the ratios' spread has a column where there is one."""
    results = list(results)
    heads = ["measure", "unit", "Statecast", "limit", "ratio", "spread", "target", "", PEER]
    rows = [
        [
            result.measure,
            result.unit,
            number(result.ours),
            number(result.limit),
            f"{result.ratio:.2f}×",
            "" if result.spread is None else "{:.2f} – {:.2f}".format(*result.spread),
            "" if result.target is None else f"{'≤' if result.better == 'less' else '≥'} {result.target:g}×",
            result.verdict,
            "" if result.peer is None else f"{result.peer:.2f}×",
        ]
        for result in results
    ]
    if not any(result.spread for result in results):
        for row in (heads, *rows):
            del row[5]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rules = ["-" * max(width, 3) for width in widths]
    widths = [max(width, 3) for width in widths]
    left = 2  # columns of words
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in [heads, *rows]
    ]
    marks = [rule if index < left else rule[:-1] + ":" for index, rule in enumerate(rules)]
    return "\n".join([lines[0], "| " + " | ".join(marks) + " |", *lines[1:]])


def number(value: float | None) -> str:
    """Return a figure with three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def machine() -> dict[str, str | int | None]:
    """Return what the figures were measured on."""
    import os
    from importlib.metadata import version

    names = ("statecast", PEER, "uvicorn", "uvloop", "httptools", "msgspec", "starlette", "anyio")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        **{name: version(name) for name in names},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
