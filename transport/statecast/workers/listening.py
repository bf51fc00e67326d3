"""The sockets on which all workers accept connections.

All processes accept from the same sockets, and the parent has them too. So a connection is never refused, nor lost with
the process that was to accept it, as happens where each process listens with a socket of its own (`SO_REUSEPORT`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

__all__ = ["listening_at"]

#: Connections that may wait for a worker.
BACKLOG: Final = 2_048


@contextmanager
def listening_at(host: str, port: int) -> Iterator[Sequence[socket.socket]]:
    """Yield sockets that listen at all addresses of a host; with the port 0, at any that is free.

    Raises:
        OSError: An address is in use, or is not this machine's.
    """
    found = dict.fromkeys(
        (family, address)
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )
    listening: list[socket.socket] = []
    try:
        for family, address in found:
            one = socket.socket(family, socket.SOCK_STREAM)
            listening.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port or _port(listening), *address[2:]))
            one.listen(BACKLOG)
        yield listening
    finally:
        for one in listening:
            one.close()


def _port(listening: Sequence[socket.socket]) -> int:
    """Return the port of the first socket, which is 0 until it is bound."""
    port: int = listening[0].getsockname()[1]
    return port
