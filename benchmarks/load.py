"""`make load`: a server, agents that talk and clients that follow; what tokens wait, and what the server uses.

The server has a process of its own, and this one is all the clients. A token waits from the line of the agent that made
it until this process has read it, so a client that is short of processor time shows as latency, too.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import selectors
import socket
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from time import perf_counter

from .client import open_stream
from .gauges import Gauges, Lines, Reading
from .idle import allow_sockets
from .kept import STORES, Kept, kept_server
from .plan import Plan, encode_plan, first_state

__all__ = ["STAMPS", "main"]

STAMPS = re.compile(rb'"value": ?"((?:\d+\.\d+ )+)"')

SUMMARY = """\
What to look at:
- p50 and p99 stay level. If they rise from line to line, tokens queue: the server's core is full.
- CPU is that of all the server's threads; about 100 % is one core, which is all that one event loop has. The cost per
  token should not depend on the numbers of streams and followers.
- Memory grows with the texts that the agents write, and with streams that open; not with time alone.
- tokens/s should be what is due. Less means that agents are late: they share the core with everything else."""


class _Client:
    """A connection, and how long the tokens that came over it have waited."""

    def __init__(self, connection: socket.socket, waits: list[float]) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._waits = waits
        self._rest = b""  #: of a frame whose end has not arrived
        self._begun = False

    def take(self) -> bool:
        """Read what is there; return whether more may come.

        Raises:
            ConnectionError: The server refused the request.
        """
        data = self.connection.recv(1 << 18)
        now = perf_counter()
        if not self._begun and not data.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"expected a stream, got {data[:500]!r}")
        self._begun = True
        whole, end, rest = (self._rest + data).rpartition(b"\n\n")
        self._rest = rest[-1_000_000:] if end else whole + rest
        for stamps in STAMPS.findall(whole):
            self._waits += [now - float(made) for made in stamps.split()]
        return bool(data) and not data.endswith(b"\r\n0\r\n\r\n")


def main(words: list[str] | None = None) -> int:
    """Serve, talk and follow for as long as the arguments say."""
    parser = argparse.ArgumentParser(prog="make load", description="Load a server, and watch it.")
    parser.add_argument("--streams", type=int, default=100, help="runs at once, each with its client (100)")
    parser.add_argument("--followers", type=int, default=100, help="further clients, all of the first run (100)")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two tokens of a run (0.02)")
    parser.add_argument("--store", choices=STORES, default="sqlite", help="where threads are kept (sqlite)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two lines (2)")
    given = parser.parse_args(words)
    if given.streams < 1 or given.followers < 0 or min(given.pause, given.seconds, given.every) <= 0:
        parser.error("expected at least one stream, and positive times")
    allow_sockets(given.streams + given.followers + 200)
    print(
        f"{given.streams} streams of {1 / given.pause:,.0f} tokens/s each, {given.followers} followers of the first, "
        f"threads in {given.store}",
        flush=True,
    )
    with kept_server(given.store) as server, ExitStack() as stack:
        talks: list[float] = []
        follows: list[float] = []
        count = round(given.seconds / given.pause)
        clients = [
            _Client(stack.enter_context(connection), waits)
            for connection, waits in _connections(server, given, count, talks, follows)
        ]
        gauges = Gauges(sys.stdout) if sys.stdout.isatty() else Lines(sys.stdout)
        for reading in _readings(server, clients, given, talks, follows):
            gauges.show(reading)
    print(SUMMARY)
    return 0


def _connections(
    server: Kept, given: argparse.Namespace, count: int, talks: list[float], follows: list[float]
) -> Iterator[tuple[socket.socket, list[float]]]:
    """Start the runs, whose tokens are spread over the pause, and follow the first."""
    for index in range(given.streams):
        delay = given.pause * index / given.streams
        plan = Plan(kind="paced", count=count, pause=given.pause, delay=delay)
        connection = open_stream(server.port, encode_plan(plan, state=first_state(), threadId=f"load-{index}"))
        if index == 0:
            connection.recv(1, socket.MSG_PEEK)  # until its thread is there, which others follow
        yield connection, talks
    for _ in range(given.followers):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(b"GET /threads/load-0/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        yield connection, follows


def _readings(
    server: Kept, clients: list[_Client], given: argparse.Namespace, talks: list[float], follows: list[float]
) -> Iterator[Reading]:
    """Read from all clients, and yield what was seen in each interval."""
    begun = last = perf_counter()
    used = server.cpu_seconds()
    with selectors.DefaultSelector() as ready:
        for client in clients:
            ready.register(client.connection, selectors.EVENT_READ, client)
        while last - begun < given.seconds and ready.get_map():
            due = min(last + given.every, begun + given.seconds)
            while (left := due - perf_counter()) > 0 and ready.get_map():
                for key, _ in ready.select(left):
                    with contextlib.suppress(BlockingIOError):
                        if not key.data.take():
                            ready.unregister(key.fileobj)
            now, cpu = perf_counter(), server.cpu_seconds()
            yield Reading(
                seconds=now - begun,
                tokens=len(talks) / (now - last),
                streams=_cuts(talks),
                followers=_cuts(follows),
                cpu=(cpu - used) / (now - last),
                memory=server.memory(),
            )
            last, used = now, cpu
            talks.clear()
            follows.clear()


def _cuts(waits: list[float]) -> tuple[float, float] | None:
    """Return the median and the 99th percentile; None if there are too few."""
    if len(waits) < 2:
        return None
    cuts = statistics.quantiles(waits, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    sys.exit(main())
