"""The plots of docs/performance.md: what an append costs as a text grows, and as a list grows."""

from __future__ import annotations

from pathlib import Path

from .harness import PEER, interleave, median
from .operations import cost_of_ours, cost_of_peer, state_of

__all__ = ["draw"]

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "cost-of-growth.svg"

SIZES = {
    "text append": [1_000, 10_000, 100_000, 1_000_000],  # characters
    "list append": [10, 100, 1_000, 10_000, 100_000],  # items
}
TITLES = {
    "text append": ("A token appended to a text", "characters in the text already"),
    "list append": ("An item appended to a list", "items in the list already"),
}
COUNT = 1_000
PEER_COUNT = 200
ROUNDS = 5


def draw() -> Path:
    """Measure, draw into `docs/images/`, and return the file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "statecast"  # so that the same figures are the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    for axis, (kind, sizes) in zip(axes, SIZES.items(), strict=True):
        lines = costs(kind, sizes)
        axis.loglog(sizes, lines["ours"], "o-", color="#2563eb", label="Statecast")
        axis.loglog(sizes, lines[PEER], "s--", color="#9ca3af", label=PEER)
        title, below = TITLES[kind]
        axis.set_title(title)
        axis.set_xlabel(below)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("µs per operation")
    axes[0].legend()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, metadata={"Date": None})
    pyplot.close(figure)
    return IMAGE


def costs(kind: str, sizes: list[int]) -> dict[str, list[float]]:
    """Return microseconds per operation at each size, for both."""
    lines: dict[str, list[float]] = {"ours": [], PEER: []}
    for size in sizes:
        initial = state_of(text="x" * size) if kind == "text append" else state_of(text="x", items=size)
        sides = {
            "ours": lambda initial=initial: cost_of_ours(kind, initial, COUNT),
            PEER: lambda initial=initial: cost_of_peer(kind, initial, PEER_COUNT),
        }
        for name, values in interleave(sides, ROUNDS).items():
            lines[name].append(median(values) * 1e6)
    return lines
