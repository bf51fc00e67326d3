"""U. What a stream costs to open, and what a short run costs from its request to its end: processor time of the server.

A stream is one of G. A short run is a message of the user, to which the agent says one text. A store may go on when the
answer is out, so its processor time is counted until the server is at rest.
"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import ExitStack
from urllib.request import urlopen

from .client import open_stream, read_stream
from .harness import PEER, Options, Result, Samples, compare, interleave, within
from .idle import FIRST, allow_sockets
from .kept import STORES, Kept, kept_server
from .plan import ANSWER, Plan, encode_message, encode_plan, first_state

__all__ = ["measure"]

STREAMS = 1_000
RUNS = 200
OPENING = 0.35  #: milliseconds that are allowed
SHORT = {"memory": 0.5, "sqlite": 0.8}  #: likewise, by store
NEW, KNOWN = "a new thread", "a known thread"


def measure(options: Options) -> list[Result]:
    """Measure openings beside starlette's `StreamingResponse`, then short runs beside what is allowed."""
    allow_sockets(2 * (FIRST + STREAMS) + 200)
    sides = {"ours": lambda: _opening("ours"), "limit": lambda: _opening("response"), PEER: lambda: _opening("peer")}
    opening = interleave(sides, options.of(3), warm=0)
    return [
        within("U. opening a stream, server CPU", "ms", opening["ours"], OPENING, scale=1e3),
        compare("U. the same, vs StreamingResponse", "ms", opening, scale=1e3),
        *_short_runs(options),
    ]


def _opening(app: str) -> float:
    body = encode_plan(Plan(kind="wait"), state=first_state())
    with Kept(app=app) as server, ExitStack() as stack:
        used = 0.0
        for index in range(FIRST + STREAMS):
            if index == FIRST:
                used = server.cpu_seconds()
            connection = stack.enter_context(open_stream(server.port, body))
            connection.settimeout(20)
            connection.recv(4096)
        return (server.cpu_seconds() - used) / STREAMS


def _short_runs(options: Options) -> list[Result]:
    with ExitStack() as stack:
        servers = {
            **{store: stack.enter_context(kept_server(store)) for store in STORES},
            "limit": stack.enter_context(Kept(app="limit")),
            PEER: stack.enter_context(Kept(app="peer")),
        }
        figures: dict[str, Samples] = {on: {name: [] for name in servers} for on in (NEW, KNOWN)}
        for index in range(options.of(5) + 1):
            for name, server in servers.items():
                for on, value in _talks(server, on_known=name in STORES).items():
                    if index:
                        figures[on][name].append(value)
    title = "U. a short run on"
    return [
        *(
            within(f"{title} {on}, {store}, server CPU", "ms", figures[on][store], SHORT[store], scale=1e3)
            for store in STORES
            for on in (NEW, KNOWN)
        ),
        compare(f"{title} {NEW}, {STORES[0]}, vs sending one frame", "ms", figures[NEW], ours=STORES[0], scale=1e3),
    ]


def _talks(server: Kept, *, on_known: bool) -> dict[str, float]:
    """Return the processor seconds of a run on new threads, and of a second one on each of them."""
    threads = [f"thread-{secrets.token_hex(6)}" for _ in range(RUNS)]
    found = {NEW: _talk(server, [encode_message("Hello", threadId=thread, state=first_state()) for thread in threads])}
    if on_known:
        bodies = []
        for thread in threads:
            with urlopen(f"http://127.0.0.1:{server.port}/threads/{thread}/state", timeout=20) as response:
                state = json.load(response)["state"]
            bodies.append(encode_message("And more", threadId=thread, state=state))
        found[KNOWN] = _talk(server, bodies)
    return found


def _talk(server: Kept, bodies: list[bytes]) -> float:
    server.settle()
    used = server.cpu_seconds()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            response = read_stream(open_stream(server.port, body, connection=connection))
            assert response.count(ANSWER.encode()) == 1, response
    server.settle()
    return (server.cpu_seconds() - used) / len(bodies)
