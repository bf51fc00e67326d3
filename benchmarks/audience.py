"""T. One run that 2,000 follow: when the last of them has a token, and what a stream of another thread waits meanwhile.

The client takes what has arrived from few connections at a time and looks at the other stream in between, so that its
own work on the 2,000 is no part of that stream's delay.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import ExitStack
from time import perf_counter

from .client import open_stream
from .fanout import ENDS, join, say_go
from .harness import Options, Result, Samples, compare, median, within
from .idle import allow_sockets
from .kept import Kept
from .plan import Plan, encode_plan, first_state

__all__ = ["measure"]

FOLLOWERS = 2_000
TOKENS = 25
PAUSE = 0.2  #: seconds between two tokens, in which all of them get one
BESIDE = Plan(kind="paced", count=3_000, pause=0.002)  #: of the other thread, until the run has ended
LAST, OTHERS = 25.0, 5.0  #: milliseconds that are allowed
AT_A_TIME = 32  #: connections that the client takes from before it looks at the other stream

_STAMP = re.compile(rb'"value": ?"([\d.]+) "')

#: What arrived from a connection, and when.
Pieces = list[tuple[float, bytes]]


def measure(options: Options) -> list[Result]:
    """Measure the delays; the limit is what is allowed, then the stateless server of I."""
    allow_sockets(2 * FOLLOWERS + 500)
    kinds = ("ours", "limit")
    figures: dict[str, Samples] = {figure: {kind: [] for kind in kinds} for figure in ("last", "others")}
    with Kept(app="shared") as ours, Kept(app="written") as limit:
        for index in range(options.of(3) + 1):
            for kind, server in zip(kinds, (ours, limit), strict=True):
                for figure, value in _sample(server, beside=kind == "ours").items():
                    if index:
                        figures[figure][kind].append(value)
    title = f"T. {FOLLOWERS:,} followers of a run"
    return [
        within(f"{title}, until the last one has a token", "ms", figures["last"]["ours"], LAST, scale=1e3),
        compare(f"{title}, the same, to one loop that sends to all", "ms", figures["last"], scale=1e3),
        within(f"{title}, what another thread's stream waits", "ms", figures["others"]["ours"], OTHERS, scale=1e3),
    ]


def _sample(server: Kept, *, beside: bool) -> dict[str, float]:
    """Return medians over the tokens: of the last follower's delay, and of the longest delay of the other stream."""
    plan = Plan(kind="paced", count=TOKENS, pause=PAUSE)
    with ExitStack() as stack:
        followers = [
            stack.enter_context(joined)
            for joined in join(server, f"shared-{secrets.token_hex(6)}", plan, FOLLOWERS, "")
        ]
        other = None
        if beside:
            body = encode_plan(BESIDE, state=first_state(), threadId=f"other-{secrets.token_hex(6)}")
            other = stack.enter_context(open_stream(server.port, body))
        say_go(server, "")
        got, heard = _read(followers, other)
    last: dict[float, float] = {}
    for pieces in got:
        for made, waited in _waits(pieces):
            last[made] = max(waited, last.get(made, 0.0))
    assert len(last) == TOKENS, f"{len(last)} tokens of {TOKENS}"
    others = _longest(sorted(_waits(heard)), last)
    return {"last": median(last.values()), "others": median(others or [0.0])}


def _waits(pieces: Pieces) -> Iterable[tuple[float, float]]:
    """Yield when each token was made, and how long it took to arrive."""
    for at, data in pieces:
        for made in map(float, _STAMP.findall(data)):
            yield made, at - made


def _longest(waits: list[tuple[float, float]], tokens: Iterable[float]) -> list[float]:
    """Return the longest delay of what was made while each token was on its way: until half its pause was over."""
    found = []
    for made in tokens:
        # What was due while the loop was busy is made when that is over, so what came just before counts as well.
        begin, end = (bisect_left(waits, (at,)) for at in (made - 2 * BESIDE.pause, made + PAUSE / 2))
        found += [max(waited for _, waited in waits[begin:end])] if begin < end else []
    return found


def _read(followers: list[socket.socket], other: socket.socket | None) -> tuple[list[Pieces], Pieces]:
    """Read until all followers have heard that the run has ended; returns what came of them, and of the other."""
    got: dict[int, Pieces] = {}
    heard: Pieces = []
    sockets = {connection.fileno(): connection for connection in followers}
    if other is not None:
        other.setblocking(False)
    with select.epoll() as ready:
        for number, connection in sockets.items():
            connection.setblocking(False)
            got[number] = []
            ready.register(number, select.EPOLLIN)
        while sockets:
            for number, _ in ready.poll(0.001, AT_A_TIME):
                data = sockets[number].recv(1 << 16)
                got[number].append((perf_counter(), data))
                if data.endswith(ENDS) or data == b"0\r\n\r\n" or not data:
                    ready.unregister(number)
                    del sockets[number]
            if other is not None:
                try:
                    heard.append((perf_counter(), other.recv(1 << 16)))
                except BlockingIOError:
                    continue
    return list(got.values()), heard
