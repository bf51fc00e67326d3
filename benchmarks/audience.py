"""T. One run that 2,000 follow: when the last of them has a token, and how long another thread's stream stands still.

When a token has arrived is what the kernel says. The client reads the followers' only when all of them surely have it,
so that it takes no processor time from the server meanwhile; the other stream it reads at once. Linux only.
"""

from __future__ import annotations

import re
import secrets
import select
import socket
import struct
import time
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import pairwise
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
AT_A_TIME = 32  #: connections that the client reads before it looks at the other stream

_STAMPED = 35  #: SO_TIMESTAMPNS of Linux: the kernel tells with what is read when it arrived

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
        compare(f"{title}, the same, vs one loop that sends to all", "ms", figures["last"], scale=1e3),
        within(f"{title}, the pause of another thread's stream", "ms", figures["others"]["ours"], OTHERS, scale=1e3),
    ]


def _sample(server: Kept, *, beside: bool) -> dict[str, float]:
    """Return medians over the tokens: of the last follower's delay, and of the other stream's longest pause."""
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
    others = _longest_pauses([at for at, _ in heard], last)
    return {"last": median(last.values()), "others": median(others or [0.0])}


def _waits(pieces: Pieces) -> Iterable[tuple[float, float]]:
    """Yield when each token was made, and how long it took to arrive."""
    for at, data in pieces:
        for made in map(float, _STAMP.findall(data)):
            yield made, at - made


def _longest_pauses(arrivals: list[float], tokens: Iterable[float]) -> list[float]:
    """Return how long the other stream stood still beyond its own pause while each token was on its way.

    Not how long its tokens took from when they were made: its agent cannot make any while the loop is busy.
    """
    found = []
    for made in tokens:
        begin, end = bisect_left(arrivals, made) - 1, bisect_left(arrivals, made + PAUSE / 2)
        gaps = [later - earlier for earlier, later in pairwise(arrivals[max(0, begin) : end])]
        found += [max(gaps) - BESIDE.pause] if gaps else []
    return found


def _read(followers: list[socket.socket], other: socket.socket | None) -> tuple[list[Pieces], Pieces]:
    """Read until all followers have heard that the run has ended; returns what came of them, and of the other."""
    ahead = perf_counter() - time.time()  # of the kernel's clock
    first = followers[0]
    got: dict[socket.socket, Pieces] = {connection: [] for connection in followers}
    heard: Pieces = []
    due = float("inf")
    with select.epoll() as ready:
        for connection in (first, *((other,) if other is not None else ())):
            ready.register(connection, select.EPOLLIN)
        for connection in (*followers, *((other,) if other is not None else ())):
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, _STAMPED, 1)
        left = set(followers)
        while left:
            numbers = [number for number, _ in ready.poll(min(max(0.0, due - perf_counter()), 1.0))]
            if other is not None and other.fileno() in numbers:
                _take(other, heard, ahead)
            if first.fileno() in numbers:
                due = perf_counter() + PAUSE / 2
                ready.unregister(first)  # it is read with the others
            if perf_counter() < due:
                continue
            due = float("inf")
            ready.register(first, select.EPOLLIN)
            for index, connection in enumerate(list(left)):
                if not _take(connection, got[connection], ahead):
                    left.discard(connection)
                if other is not None and index % AT_A_TIME == 0:
                    _take(other, heard, ahead)
    return list(got.values()), heard


def _take(connection: socket.socket, pieces: Pieces, ahead: float) -> bool:
    """Take what has arrived, with the time that the kernel says; return whether more may come."""
    try:
        data, stamps, _, _ = connection.recvmsg(1 << 16, 64)
    except BlockingIOError:
        return True
    at = perf_counter()
    if stamps:  # not of what arrived before they were asked for
        seconds, nanoseconds = struct.unpack("qq", stamps[0][2][:16])
        at = seconds + nanoseconds / 1e9 + ahead
    pieces.append((at, data))
    return not (data.endswith(ENDS) or data == b"0\r\n\r\n" or not data)
