"""B. What an append costs as the text grows, and as the state around it grows: it should not."""

from __future__ import annotations

from .harness import PEER, Options, Result, compare, interleave
from .operations import cost_of_ours, cost_of_peer, state_of

__all__ = ["measure"]

PEER_COUNT = 500  #: operations of assistant-stream, which costs a thousand times as much here


def measure(options: Options) -> list[Result]:
    """Measure an append at the small size, as the limit, and at the large size."""
    small, large = state_of(text="x" * 10_000), state_of(text="x" * 1_000_000)
    few, many = state_of(messages=10, text="x"), state_of(messages=10_000, text="x")
    return [
        *_compare("B. append at 1 MB of text, vs at 10 KB", small, large, options),
        *_compare("B. append after 10,000 messages, vs after 10", few, many, options),
    ]


def _compare(title: str, small: object, large: object, options: Options) -> list[Result]:
    sides = {
        "ours": lambda: cost_of_ours("text append", large),
        "limit": lambda: cost_of_ours("text append", small),
        "peer's limit": lambda: cost_of_peer("text append", small, PEER_COUNT),
        PEER: lambda: cost_of_peer("text append", large, PEER_COUNT),
    }
    samples = interleave(sides, options.of(9))
    result = compare(title, "µs", samples, target=1.2, scale=1e6)
    peer = compare(title, "µs", samples, ours=PEER, limit="peer's limit", scale=1e6)
    return [Result(**{**_fields(result), "peer": peer.ratio})]


def _fields(result: Result) -> dict:
    return {name: getattr(result, name) for name in result.__struct_fields__}
