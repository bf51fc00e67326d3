"""The client: plain sockets that read as cheaply as can be, so that the server is what is measured."""

from __future__ import annotations

import selectors
import socket
import time

__all__ = ["body_of", "open_stream", "read_many", "read_stream"]

_CHUNK = 1 << 18


def open_stream(
    port: int, body: bytes, *, path: str = "/assistant", connection: socket.socket | None = None
) -> socket.socket:
    """Post `body`, and return the connection."""
    if connection is None:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n".encode() + body)
    return connection


def read_stream(connection: socket.socket) -> bytes:
    """Read a chunked response to its end, and return it as it came."""
    pieces = []
    tail = b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(_CHUNK)
        if not piece:
            raise ConnectionError("the server closed the connection within a response")
        pieces.append(piece)
        tail = (tail + piece)[-16:]
    return b"".join(pieces)


def read_many(connections: list[socket.socket]) -> list[list[tuple[float, bytes]]]:
    """Read responses side by side; returns for each what came, and when."""
    got: list[list[tuple[float, bytes]]] = [[] for _ in connections]
    clock = time.perf_counter
    with selectors.DefaultSelector() as ready:
        for connection, pieces in zip(connections, got, strict=True):
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_READ, (connection.recv, pieces.append))
        while ready.get_map():
            for key, _ in ready.select():
                receive, append = key.data
                data = receive(_CHUNK)
                append((clock(), data))
                if data.endswith(b"0\r\n\r\n") or not data:
                    ready.unregister(key.fileobj)
    return got


def body_of(response: bytes) -> bytes:
    """Return the body of a chunked response."""
    _, _, rest = response.partition(b"\r\n\r\n")
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        pieces.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(pieces)
