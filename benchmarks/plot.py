"""The plots of docs/performance.md: a panel for each curve, and how much each line grows when its size does tenfold."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .curves import CURVES, LIMIT, Curve
from .harness import PEER

__all__ = ["CURVES", "draw", "growth"]

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "cost-of-growth.svg"
POINTS = IMAGE.with_suffix(".json")

COLUMNS = 2
GREY = {PEER: ("#9ca3af", "s--"), LIMIT: ("#6b7280", "^:")}
COLORS = ("#2563eb", "#d97706", "#059669")


def draw(names: Collection[str]) -> Path:
    """Measure curves, draw them into `docs/images/` beside those that were measured before, and return the file."""
    curves = msgspec.json.decode(POINTS.read_bytes(), type=dict[str, Curve]) if POINTS.exists() else {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        curves[name] = CURVES[name]()
        print(table(curves[name]), file=sys.stderr, flush=True)
    curves = {name: curves[name] for name in CURVES if name in curves}
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    POINTS.write_bytes(msgspec.json.format(msgspec.json.encode(curves), indent=1) + b"\n")
    _draw(list(curves.values()))
    return IMAGE


def growth(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the factor by which a cost grows when the size does tenfold: of the line through all points."""
    across, up = ([math.log10(value) for value in values] for values in (sizes, costs))
    middle, level = sum(across) / len(across), sum(up) / len(up)
    slope = sum((x - middle) * (y - level) for x, y in zip(across, up, strict=True))
    return float(10 ** (slope / sum((x - middle) ** 2 for x in across)))


def table(curve: Curve) -> str:
    """Return a curve as lines of text."""
    heads = [f"{curve.title} ({curve.unit}), by {curve.below}: {', '.join(f'{size:,}' for size in curve.sizes)}"]
    return "\n".join(
        heads
        + [
            f"  {name}: {', '.join(f'{cost:,.3g}' for cost in costs)}; ×{growth(curve.sizes, costs):.2f} per tenfold"
            for name, costs in curve.lines.items()
        ]
    )


def _draw(curves: list[Curve]) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "statecast"  # so that the same figures are the same file
    from matplotlib import pyplot

    rows = math.ceil(len(curves) / COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(10, 3.6 * rows), layout="constrained", squeeze=False)
    for axis, curve in zip(axes.flat, curves, strict=False):
        _panel(axis, curve)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    figure.savefig(IMAGE, metadata={"Date": None})
    pyplot.close(figure)


def _panel(axis: Any, curve: Curve) -> None:
    colors = iter(COLORS)
    for name, costs in curve.lines.items():
        color, style = GREY[name] if name in GREY else (next(colors), "o-")
        label = f"{name} (×{growth(curve.sizes, costs):.2f})"
        axis.loglog(curve.sizes, costs, style, color=color, label=label)
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, high / 30), high * 2)  # so that what is flat looks flat
    axis.set_title(curve.title)
    axis.set_xlabel(f"{curve.below} (×: growth per tenfold)")
    axis.set_ylabel(curve.unit)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
