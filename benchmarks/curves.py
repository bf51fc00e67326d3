"""The curves of docs/performance.md: what one thing costs as another grows. A size is measured beside the others.

Each curve is a question of "does it grow?", so its sizes span some powers of ten. Costs are processor time, but where
everything happens in one process and nothing waits.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from . import crowded, fanout, large
from .client import open_stream, read_stream
from .harness import PEER, Samples, interleave, median
from .idle import allow_sockets
from .kept import STORES, Kept, kept_server
from .many import sample
from .operations import append, cost_of, cost_of_ours, cost_of_peer, state_of
from .plan import Plan, encode_plan, first_state
from .posted import messages

__all__ = ["CURVES", "Curve"]

ROUNDS = 3
OURS = "Statecast"
LIMIT = "the limit"


class Curve(msgspec.Struct, frozen=True):
    """What something costs by size."""

    title: str
    below: str  #: what the sizes are
    unit: str
    sizes: list[int]
    lines: dict[str, list[float]]  #: the costs at each size, by what is measured


def text() -> Curve:
    """Measure a token by the length of its text."""
    sizes = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    states = {size: state_of(text="x" * size) for size in sizes}
    ways = {
        f"{OURS}, append": lambda size: cost_of_ours("text append", states[size], 2_000),
        f"{OURS}, +=": lambda size: cost_of_ours("text +=", states[size], 2_000),
        PEER: lambda size: cost_of_peer("text append", states[size], 100),
    }
    return _curve("A token appended to a text", "characters in the text", "µs", sizes, ways)


def items() -> Curve:
    """Measure an item by the length of its list."""
    sizes = [10, 100, 1_000, 10_000, 100_000]
    states = {size: state_of(text="x", items=size) for size in sizes}
    ways = {
        OURS: lambda size: cost_of_ours("list append", states[size], 1_000),
        PEER: lambda size: cost_of_peer("list append", states[size], 200),
    }
    return _curve("An item appended to a list", "items in the list", "µs", sizes, ways)


def state() -> Curve:
    """Measure a token by what the rest of the state holds."""
    sizes = [20, 200, 2_000, 20_000]
    states = {size: messages(size) for size in sizes}
    ways = {OURS: lambda size: cost_of(append, states[size], 2_000)}
    return _curve("A token in a state", "messages of 500 bytes in the state", "µs", sizes, ways)


def run() -> Curve:
    """Measure what a run costs a thread by its state's size."""
    sizes = [20, 200, 2_000, 20_000]
    titles = {"look": "to the first look", "end": "to the end", "less": "comparing another state"}
    lines: dict[str, list[float]] = {title: [] for title in titles.values()}
    for size in sizes:
        figures = large.figures_of(messages(size), ROUNDS)
        for what, title in titles.items():
            lines[title].append(median(figures[what]) * 1e3)
    return Curve("A run on a thread", "messages of 500 bytes in the state", "ms", sizes, lines)


def entries() -> Curve:
    """Measure a token by how many the thread's log has had, over a socket."""
    sizes = [100, 1_000, 10_000, 100_000]
    with ExitStack() as stack:
        servers = {store: stack.enter_context(kept_server(store)) for store in STORES}
        ways = {f"{OURS}, {store}": partial(_after, server) for store, server in servers.items()}
        return _curve("A token on a thread", "entries in the thread's log", "µs", sizes, ways)


def _after(server: Kept, entries: int, tokens: int = 5_000) -> float:
    thread = f"thread-{secrets.token_hex(6)}"
    used = 0.0
    for count in (entries, tokens):
        server.settle()
        used = server.cpu_seconds()
        body = encode_plan(Plan(kind="tokens", count=count), state=first_state(), threadId=thread)
        with open_stream(server.port, body) as connection:
            read_stream(connection)
    server.settle()
    return (server.cpu_seconds() - used) / tokens


def streams() -> Curve:
    """Measure a token by how many streams share the server, at 10,000 tokens a second from all of them."""
    sizes = [20, 50, 200, 1_000]
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(Kept()), LIMIT: stack.enter_context(Kept(app="limit"))}
        ways = {
            name: lambda size, server=server: sample(server, size, size / 10_000, opening=2.0)["cpu"]
            for name, server in servers.items()
        }
        return _curve("A token over a socket", "streams", "µs", sizes, ways, rounds=1)


def followers() -> Curve:
    """Measure a frame by how many follow the run."""
    sizes = [10, 100, 1_000, 2_000]
    allow_sockets(2 * max(sizes) + 500)
    with ExitStack() as stack:
        apps = {OURS: "shared", LIMIT: "written"}
        servers = {name: stack.enter_context(Kept(app=app)) for name, app in apps.items()}
        ways = {
            name: lambda size, server=server: fanout.sample(server, size, pause=max(0.005, size / 20_000))["cpu"]
            for name, server in servers.items()
        }
        return _curve("A frame to a follower", "followers of the run", "µs", sizes, ways, rounds=1)


def threads() -> Curve:
    """Measure a token, and opening a thread, by how many threads the store's file holds."""
    sizes = [10, 100, 1_000, 10_000]
    titles = {"append": "a token", "open": "opening a thread"}
    samples: dict[int, dict[str, list[float]]] = {size: {what: [] for what in titles} for size in sizes}
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder) / str(size) / "threads.db" for size in sizes}
        for size, file in files.items():
            asyncio.run(crowded.fill(file, size))
        for seed in range(ROUNDS):
            for size, file in files.items():
                found = crowded.sample(file, size, seed)
                for what in titles:
                    samples[size][what] += found[what]
    lines = {title: [median(samples[size][what]) * 1e6 for size in sizes] for what, title in titles.items()}
    return Curve("A store's file", "threads in the file", "µs", sizes, lines)


#: By name, in the order of the plot.
CURVES: dict[str, Callable[[], Curve]] = {
    made.__name__: made for made in (text, items, entries, state, run, streams, followers, threads)
}


def _curve(
    title: str,
    below: str,
    unit: str,
    sizes: Sequence[int],
    ways: Mapping[str, Callable[[int], float]],
    *,
    rounds: int = ROUNDS,
) -> Curve:
    """Measure each way at each size, all of them in each round."""
    sides = {f"{name} {size}": partial(way, size) for name, way in ways.items() for size in sizes}
    samples: Samples = interleave(sides, rounds, warm=0 if rounds == 1 else 1)
    scale = {"µs": 1e6, "ms": 1e3}[unit]
    lines = {name: [median(samples[f"{name} {size}"]) * scale for size in sizes] for name in ways}
    return Curve(title, below, unit, list(sizes), lines)
