"""I. One run that many follow, in three protocols: what a frame costs the server, and whether one who stalls is felt.

A third each reads the thread as assistant-transport, as data-stream and as its events. All are there before the run
says its first token. The processor's time is the server's own, per token and follower.
"""

from __future__ import annotations

import re
import secrets
import selectors
import socket
import statistics
import time
from contextlib import ExitStack
from itertools import cycle, islice
from typing import Any

import msgspec

from .client import open_stream, read_stream
from .harness import Options, Result, Samples, compare, median
from .kept import Kept
from .plan import Plan, first_state

__all__ = ["ENDS", "join", "measure", "sample", "say_go"]

PAUSE = 0.005  #: seconds between two tokens
SECONDS = 1.0  #: of the run, where the server keeps up
FOLLOWERS = (500, 100)
PROTOCOLS = ("assistant-transport", "data-stream", "events")

STALLED = 20  #: followers that stop reading, at once
PAGES = Plan(kind="pages", count=1_000, size=10_000, pause=0.001)
ALLOWED = 64.0  #: KB that one of them may cost
#: glibc otherwise keeps some freed memory, more or less of it by chance, and the difference would be that.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}

_STAMP = re.compile(rb'"value": ?"([\d.]+) "')
#: How a response ends, and how a run does in events, which go on.
ENDS = (b"\r\n0\r\n\r\n", b'"status":"completed"}}\n\n\r\n')


def measure(options: Options) -> list[Result]:
    """Measure the fan-out at each size, then one that stalls among others, then what those that stall hold."""
    results = []
    with Kept(app="shared") as ours, Kept(app="written") as limit:
        for followers in FOLLOWERS:
            kinds = ("ours", "limit", "handed")
            figures: dict[str, Samples] = {
                figure: {kind: [] for kind in kinds} for figure in ("cpu", "p50", "p99", "busy")
            }
            for index in range(options.of(3) + 1):
                for kind in kinds:
                    found = sample(ours if kind == "ours" else limit, followers, query=_query(kind))
                    for figure, value in found.items():
                        if index:
                            figures[figure][kind].append(value)
            title = f"I. {followers} followers of a run"
            results.append(
                compare(f"{title}, server CPU per frame", "µs", figures["cpu"], target=1.5, scale=1e6),
            )
            handed = compare(f"{title}, vs a task per stream", "µs", figures["cpu"], limit="handed", scale=1e6)
            results += [handed, compare(f"{title}, the server's core in use", "share", figures["busy"])]
            for figure in ("p50", "p99"):
                results.append(compare(f"{title}, latency {figure}", "ms", figures[figure], scale=1e3))
        tail: Samples = {"ours": [], "limit": []}
        for _ in range(options.of(3)):
            for name, stalls in (("limit", False), ("ours", True)):
                tail[name].append(sample(ours, FOLLOWERS[-1], stalls=stalls)["p99"])
        title = f"I. latency p99 of {FOLLOWERS[-1]} followers with one stalled, vs with none"
        results.append(compare(title, "ms", tail, target=1.2, scale=1e3))
    cost: Samples = {"ours": [], "limit": [ALLOWED]}
    for _ in range(options.of(3)):
        usual, stalled = (_memory(stalls=stalls) for stalls in (False, True))
        cost["ours"].append((stalled - usual) / STALLED / 1e3)
    results.append(compare("I. memory of a stalled follower beyond the socket's buffers", "KB", cost, target=1.0))
    return results


def _query(kind: str) -> str:
    return "?handed" if kind == "handed" else ""


def sample(
    server: Kept, followers: int, *, stalls: bool = False, query: str = "", pause: float = PAUSE
) -> dict[str, float]:
    """Return the figures of one run with a token every `pause` seconds; where one `stalls`, those of the others."""
    plan = Plan(kind="paced", count=int(SECONDS / pause), pause=pause)
    with ExitStack() as stack:
        thread = f"shared-{secrets.token_hex(6)}"
        connections = [stack.enter_context(joined) for joined in join(server, thread, plan, followers, query)]
        if stalls:
            stalled = stack.enter_context(_connect(server.port, stalls=True))
            _request(stalled, thread, "events", query)
        cpu, started = server.cpu_seconds(), time.perf_counter()
        say_go(server, query)
        got = _read(connections)
        seconds, cpu = time.perf_counter() - started, server.cpu_seconds() - cpu
    waits = []
    for pieces in got:
        arrivals = [(at, float(made)) for at, data in pieces for made in _STAMP.findall(data)]
        waits += [at - made for at, made in arrivals[plan.count // 10 :]]
    expected = followers * (plan.count - plan.count // 10)
    # A stamp that is split over two reads is not found; a few may be.
    assert expected * 0.98 <= len(waits) <= expected, f"{len(waits)} tokens of {expected}"
    cuts = statistics.quantiles(waits, n=100)
    return {"cpu": cpu / (followers * plan.count), "p50": cuts[49], "p99": cuts[98], "busy": cpu / seconds}


def _memory(*, stalls: bool) -> float:
    """Return the bytes of memory in use when a run has said 10 MB to followers that read, or that all stall."""
    with Kept(app="shared", **ENVIRONMENT) as server, ExitStack() as stack:
        first, *rest = join(server, "pages", PAGES, STALLED + 1, "", stalls=stalls)
        for connection in (first, *rest):
            stack.enter_context(connection)
        say_go(server, "")
        _read([first] if stalls else [first, *rest])
        time.sleep(0.3)  # until what is on its way has arrived
        return median(_settled(server) for _ in range(3))


def _settled(server: Kept) -> int:
    time.sleep(0.05)
    return server.memory()


def join(
    server: Kept, thread: str, plan: Plan, followers: int, query: str, *, stalls: bool = False
) -> list[socket.socket]:
    """Start a run that waits for the word, and let everyone follow; the first is who started it."""
    hold = {"type": "hold", **msgspec.to_builtins(plan)}
    fields = {"commands": [hold], "protocol": PROTOCOLS[0], "threadId": thread, "state": first_state()}
    first = open_stream(server.port, msgspec.json.encode(fields), path=f"/assistant{query}", connection=None)
    connections = [first]
    _read_start(first)
    for protocol in islice(cycle(PROTOCOLS), followers - 1):
        connection = _connect(server.port, stalls=stalls)
        _request(connection, thread, protocol, query)
        _read_start(connection)
        connections.append(connection)
    return connections


def _connect(port: int, *, stalls: bool = False) -> socket.socket:
    connection = socket.socket()
    if stalls:  # so that the system takes little on its behalf
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    connection.connect(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _request(connection: socket.socket, thread: str, protocol: str, query: str) -> None:
    if protocol == "events":
        connection.sendall(f"GET /threads/{thread}/events{query} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    else:
        body = msgspec.json.encode({"threadId": thread, "protocol": protocol})
        open_stream(0, body, path=f"/resume{query}", connection=connection)


def _read_start(connection: socket.socket) -> None:
    """Read until the first frame has come."""
    connection.settimeout(20)
    data = b""
    while not (data.partition(b"\r\n\r\n")[2].endswith(b"\n\r\n")):
        piece = connection.recv(1 << 16)
        assert piece, data
        data += piece
    assert data.startswith(b"HTTP/1.1 200"), data[:500]


def say_go(server: Kept, query: str) -> None:
    """Let the run of `join` begin to talk."""
    body = msgspec.json.encode({"commands": [{"type": "go"}], "protocol": PROTOCOLS[0], "state": None})
    with open_stream(server.port, body, path=f"/assistant{query}") as connection:
        read_stream(connection)


def _read(connections: list[socket.socket]) -> list[list[tuple[float, bytes]]]:
    """Read until all have said that the run has ended; returns for each what came, and when."""
    got: list[list[tuple[float, bytes]]] = [[] for _ in connections]
    clock = time.perf_counter
    with selectors.DefaultSelector() as ready:
        for connection, pieces in zip(connections, got, strict=True):
            connection.setblocking(False)
            key: Any = (connection.recv, pieces.append)
            ready.register(connection, selectors.EVENT_READ, key)
        while ready.get_map():
            for key, _ in ready.select():
                receive, append = key.data
                data = receive(1 << 18)
                append((clock(), data))
                if data.endswith(ENDS) or data == b"0\r\n\r\n" or not data:
                    ready.unregister(key.fileobj)
    return got
