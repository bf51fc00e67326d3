"""R. One stream of 20,000 tokens on a thread in SQLite, over a socket: pace, processor time, bytes written.

A store may go on when the stream has ended, so processor time and bytes are counted until the server is at rest.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from .client import open_stream, read_stream
from .harness import PEER, Options, Result, Samples, compare, within
from .kept import Kept, kept_server
from .plan import Plan, encode_plan, first_state, token

__all__ = ["measure"]

COUNT = 20_000
ALLOWED = 200.0  #: bytes that a token of five may cost
#: Turns of the event loop from a token to the next. In one, a store that takes longer gets two tokens at once.
WAYS = {"a token per turn": 1, "a token per 4 turns": 4}


def measure(options: Options) -> list[Result]:
    """Measure tokens that follow one another in the next turn, then some with turns in between, as a network has."""
    with ExitStack() as stack:
        servers = {
            "sqlite": stack.enter_context(kept_server("sqlite")),
            "memory": stack.enter_context(kept_server("memory")),
            "limit": stack.enter_context(Kept(app="limit")),
            PEER: stack.enter_context(Kept(app="peer")),
        }
        results = []
        for title, turns in WAYS.items():
            figures: dict[str, Samples] = {
                figure: {name: [] for name in servers} for figure in ("rate", "cpu", "calls", "disk")
            }
            for index in range(options.of(5) + 1):
                for name, server in servers.items():
                    for figure, value in _sample(server, turns).items():
                        if index:
                            figures[figure][name].append(value)
            results += _lines(f"R. one stream on SQLite, {title}", figures)
        # Of all rounds together: a file that is written over, or cut off at times, does not grow with each stream.
        grown = _size(servers["sqlite"].folder) / (COUNT * len(WAYS) * (options.of(5) + 1))
    return [*results, within("R. the size of the store's files per token", "B", [grown], ALLOWED)]


def _lines(title: str, figures: dict[str, Samples]) -> list[Result]:
    rate, cpu, calls = figures["rate"], figures["cpu"], figures["calls"]
    # What a stream in memory hands to `write` is what its socket gets.
    bytes_kept = [kept - sent for kept, sent in zip(calls["sqlite"], calls["memory"], strict=True)]
    memory = compare(f"{title}, the same in memory", "tokens/s", rate, better="more", ours="memory")
    return [
        compare(title, "tokens/s", rate, target=0.7, better="more", ours="sqlite"),
        memory,
        compare(f"{title}, server CPU per token", "µs", cpu, target=1.8, ours="sqlite", scale=1e6),
        within(f"{title}, bytes written per token", "B", bytes_kept, ALLOWED),
        within(f"{title}, bytes for the disk per token", "B", figures["disk"]["sqlite"], ALLOWED),
    ]


def _sample(server: Kept, turns: int) -> dict[str, float]:
    plan = Plan(kind="tokens", count=COUNT, turns=turns)
    body = encode_plan(plan, state=first_state(), threadId=f"thread-{secrets.token_hex(6)}")
    cpu, (calls, disk) = server.cpu_seconds(), server.written()
    started = perf_counter()
    with open_stream(server.port, body) as connection:
        response = read_stream(connection)
    seconds = perf_counter() - started
    # What a store takes in one go, a reader gets in one frame, in which neighbouring tokens are one append.
    assert token(COUNT - 1).encode() in response[-200:], response[-200:]
    server.settle()
    after = server.written()
    return {
        "rate": COUNT / seconds,
        "cpu": (server.cpu_seconds() - cpu) / COUNT,
        "calls": (after[0] - calls) / COUNT,
        "disk": (after[1] - disk) / COUNT,
    }


def _size(folder: Path | None) -> int:
    return 0 if folder is None else sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
