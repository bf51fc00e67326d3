"""K. Joining a thread whose run has said 100,000 tokens, beside one that holds the same state and has just begun.

From the request to the last byte of what brings the client up to date, and how many bytes that takes.
"""

from __future__ import annotations

import socket
import time
from time import perf_counter
from urllib.request import urlopen

import msgspec

from .client import open_stream
from .harness import Options, Result, Samples, compare
from .kept import STORES, Kept, kept_server
from .plan import Plan, encode_plan, first_state, token

__all__ = ["measure"]

TOKENS = 100_000
JOINS = 10  #: of each kind, in each round
WAYS = {"its events": "events", "a resume": "resume"}


def measure(options: Options) -> list[Result]:
    """Measure both ways to join, on each store."""
    results = []
    for store in STORES:
        with kept_server(store) as server:
            open_runs = [_talked(server), _begun(server)]
            for title, way in WAYS.items():
                seconds: Samples = {"ours": [], "limit": []}
                size: Samples = {"ours": [], "limit": []}
                for index in range(options.of(5) + 1):
                    for _ in range(JOINS):
                        for name, thread in (("ours", "talked"), ("limit", "begun")):
                            took, received = _join(server, thread, way)
                            if index:
                                seconds[name].append(took)
                                size[name].append(received)
                what = f"K. {store}: joining by {title} after {TOKENS:,} tokens"
                results.append(compare(f"{what}, time", "ms", seconds, target=1.3, scale=1e3))
                results.append(compare(f"{what}, bytes", "KB", size, target=1.3, scale=1e-3))
            for connection in open_runs:
                connection.close()
    return results


def _talked(server: Kept) -> socket.socket:
    """Let a run say its tokens, and then wait."""
    plans = [Plan(kind="tokens", count=TOKENS), Plan(kind="wait")]
    commands = [{"type": "talk", **msgspec.to_builtins(plan)} for plan in plans]
    fields = {"commands": commands, "protocol": "assistant-transport", "threadId": "talked", "state": first_state()}
    connection = open_stream(server.port, msgspec.json.encode(fields))
    connection.settimeout(20)
    connection.recv(1 << 16)
    url = f"http://127.0.0.1:{server.port}/threads/talked/state"
    text = len("Well: ") + sum(len(token(index)) for index in range(TOKENS))
    while True:
        with urlopen(url, timeout=20) as response:
            if len(response.read()) > text:
                return connection
        time.sleep(0.2)


def _begun(server: Kept) -> socket.socket:
    """Begin a run on a thread that adopts the state the other one ended with."""
    state = first_state()
    state["messages"][0]["parts"][0]["text"] += "".join(map(token, range(TOKENS)))
    connection = open_stream(server.port, encode_plan(Plan(kind="wait"), state=state, threadId="begun"))
    connection.settimeout(20)
    connection.recv(1 << 16)
    return connection


def _join(server: Kept, thread: str, way: str) -> tuple[float, int]:
    """Return the seconds and the bytes until the client has the state."""
    body = msgspec.json.encode({"threadId": thread, "protocol": "assistant-transport"})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(20)
        started = perf_counter()
        if way == "events":
            connection.sendall(f"GET /threads/{thread}/events HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        else:
            open_stream(0, body, path="/resume", connection=connection)
        pieces = [b""]
        while not pieces[-1].endswith(b"\n\n\r\n"):
            pieces.append(connection.recv(1 << 20))
        seconds = perf_counter() - started
    response = b"".join(pieces)
    head, _, rest = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    assert token(TOKENS - 1).encode() in rest[-2000:], rest[-2000:]
    return seconds, len(rest)
