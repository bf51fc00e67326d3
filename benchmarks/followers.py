"""M. Followers of threads where nothing happens: what each holds of the server's memory, beside an idle stream of G."""

from __future__ import annotations

import socket

from .client import open_stream, read_stream
from .harness import Options, Result, compare, interleave
from .idle import allow_sockets, each, settled
from .kept import Kept
from .plan import Plan, encode_plan, first_state

__all__ = ["measure"]

FOLLOWERS = 5_000
THREADS = 50
FIRST = 50  #: opened before, so that what a server makes once is not counted


def measure(options: Options) -> list[Result]:
    """Measure followers on threads, and G's streams in between."""
    allow_sockets(2 * FOLLOWERS + 500)
    samples = interleave({"ours": _follower, "limit": lambda: each("ours")}, options.of(2), warm=0)
    title = f"M. each of {FOLLOWERS:,} idle followers, vs an idle stream of G"
    return [compare(title, "KB", samples, target=1.25, scale=1e-3)]


def _follower() -> float:
    connections: list[socket.socket] = []
    with Kept() as server:
        try:
            for index in range(THREADS):
                with open_stream(
                    server.port, encode_plan(Plan(kind="nothing"), state=first_state(), threadId=f"thread-{index}")
                ) as connection:
                    read_stream(connection)
            before = 0
            for index in range(FIRST + FOLLOWERS):
                if index == FIRST:
                    before = settled(server)
                connection = socket.create_connection(("127.0.0.1", server.port))
                connections.append(connection)
                path = f"/threads/thread-{index % THREADS}/events"
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
                connection.settimeout(20)
                data = b""
                while not data.endswith(b"\n\n\r\n"):
                    data += connection.recv(4096)
            return (settled(server) - before) / FOLLOWERS
        finally:
            for connection in connections:
                connection.close()
