"""W. A token at 1 MB and at 10 MB of text, by `+=` and by the explicit append, and one near the limit of the state."""

from __future__ import annotations

from functools import partial

from .harness import Options, Result, compare, interleave
from .operations import append, cost_of, cost_of_ours, state_of
from .posted import messages

__all__ = ["measure"]

COUNT = 3_000
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
SMALL = "10 KB"
CONVERSATION = 20_000  #: messages, of 10 MB together
LAST = 1_000  #: tokens before the limit
NEAR, FAR = 5_000, 1_000_000_000  #: bytes to the limit, of which those tokens take 4,000


def measure(options: Options) -> list[Result]:
    """Measure each way at each length, then a token near the limit beside one far from it."""
    results = []
    for kind, title in (("text +=", "+="), ("text append", "append")):
        states = {name: state_of(text="x" * size) for name, size in SIZES.items()}
        sides = {name: partial(cost_of_ours, kind, state, COUNT) for name, state in states.items()}
        samples = interleave(sides, options.of(5))
        results += [
            compare(
                f"W. {title} at {name} of text, vs at {SMALL}",
                "µs",
                samples,
                target=1.5,
                ours=name,
                limit=SMALL,
                scale=1e6,
            )
            for name in SIZES
            if name != SMALL
        ]
    large = state_with_text(messages(CONVERSATION))
    rooms = {"ours": NEAR, "limit": FAR}
    near = {name: partial(cost_of, append, large, LAST, room) for name, room in rooms.items()}
    samples = interleave(near, options.of(3))
    title = "W. append to 10 MB of state near its maximum, vs far from it"
    return [*results, compare(title, "µs", samples, target=1.5, scale=1e6)]


def state_with_text(state: dict) -> dict:
    """Return a state whose last message has a part with an empty text to append to."""
    state["messages"].append({"parts": [{"type": "text", "text": ""}]})
    return state
