"""X. From a mutation to its frame in process, without the turn of the event loop that A has."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from statecast.protocol import PROTOCOLS, OperationsEntry
from statecast_agents import Document

from .harness import Options, Result, compare, interleave
from .operations import KINDS, cost_of_limit, state_of

__all__ = ["measure"]

COUNT = 10_000


def measure(options: Options) -> list[Result]:
    """Measure the kinds of A."""
    results = []
    for kind in KINDS:
        sides = {"ours": lambda kind=kind: cost(kind), "limit": lambda kind=kind: cost_of_limit(kind, COUNT)}
        samples = interleave(sides, options.of(9))
        results.append(compare(f"X. {kind}, without the turn", "µs", samples, target=2.5, scale=1e6))
    return results


def cost(kind: str) -> float:
    """Return the seconds from a mutation to its frame."""
    mutate = KINDS[kind][0]
    document = Document(state_of())
    document.flush()
    document.wake = _nothing
    encode = PROTOCOLS["assistant-transport"](None).encode
    state: Any = document.root
    frames = []
    started = perf_counter()
    for index in range(COUNT):
        mutate(state, index)
        frames.append(encode(OperationsEntry(index + 1, document.flush().operations)))
    seconds = perf_counter() - started
    assert all(frames), "a frame each"
    return seconds / COUNT


def _nothing() -> None:
    """Stand for what would schedule a flush."""
