"""The figures of several runs as one table: medians, and how far the ratios lie apart.

A file may hold some of the measures only; a line is of those runs that have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from .harness import Result, median

__all__ = ["Figures", "merge", "read"]


class Figures(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    machine: dict[str, str | int | None]
    results: list[Result]


def read(file: Path) -> Figures:
    """Read the figures of a run."""
    return msgspec.json.decode(file.read_bytes(), type=Figures)


def merge(runs: Sequence[Sequence[Result]]) -> list[Result]:
    """Return a line for each line of the runs, in the measures' order."""
    lines: dict[tuple[str, int], list[Result]] = {}
    for results in runs:
        times: dict[str, int] = {}  # that a title has come: some measures have lines with the same
        for result in results:
            times[result.measure] = times.get(result.measure, 0) + 1
            lines.setdefault((result.measure, times[result.measure]), []).append(result)
    return sorted(map(_merged, lines.values()), key=lambda result: result.measure.partition(".")[0])


def _merged(same: list[Result]) -> Result:
    ratios = [result.ratio for result in same]
    return msgspec.structs.replace(
        same[-1],
        ours=median(result.ours for result in same),
        limit=_median([result.limit for result in same]),
        ratio=median(ratios),
        peer=_median([result.peer for result in same]),
        spread=(min(ratios), max(ratios)) if len(same) > 1 else None,
        samples={},
    )


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
