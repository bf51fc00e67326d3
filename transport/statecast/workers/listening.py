"""The sockets on which workers accept connections.

On Linux each place of a worker has a socket of its own at the address, among which the system spreads the connections.
Accepting from one socket, of 200 streams four workers got 2, 36, 67 and 95; with four sockets, 46, 48, 50 and 56.

The parent has all of them, and a new worker gets those of the one that it replaces. So a connection is never refused,
nor lost with the process that was to accept it: it waits for the next one. Where that one does not start, either, its
place gets sockets that listen once a worker accepts from them, and until then the system leaves them out.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

__all__ = ["listening_at", "stop_listening"]

#: Connections that may wait for a worker.
BACKLOG: Final = 2_048


@contextmanager
def listening_at(host: str, port: int, workers: int) -> Iterator[Sequence[list[socket.socket]]]:
    """Yield for each worker the sockets that listen at all addresses of a host.

    Args:
        host: The host.
        port: The port; 0: one that is free.
        workers: How many there are.

    Raises:
        OSError: An address is in use, or is not this machine's.
    """
    if sys.platform == "win32":
        raise OSError("expected one worker on Windows, where processes cannot share a socket")
    with ExitStack() as stack:
        if sys.platform != "linux":  # elsewhere all connections go to one of several sockets
            yield [_bound(host, port, stack)] * workers
            return
        with ExitStack() as trial:
            _bound(host, port, trial)  # fails if another server is there, with which ours could share the address
        places = [_bound(host, port, stack, spread=True)]
        port = places[0][0].getsockname()[1]
        places += [_bound(host, port, stack, spread=True) for _ in range(workers - 1)]
        yield places


def stop_listening(sockets: list[socket.socket]) -> None:
    """Replace the sockets of one worker by others at the same addresses, which get no connection until it listens."""
    if sys.platform != "linux":  # they are those of all workers
        return
    for number, one in enumerate(sockets):
        with suppress(OSError):
            sockets[number] = _at(one.family, one.getsockname(), spread=True)
            one.close()


def _bound(host: str, port: int, stack: ExitStack, *, spread: bool = False) -> list[socket.socket]:
    """Return sockets that listen at all addresses of a host, and are closed with the stack.

    Args:
        host: The host.
        port: The port; 0: one that is free.
        stack: What closes them.
        spread: Whether other sockets may listen at the same address.
    """
    found = dict.fromkeys(
        (family, address)
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )
    listening: list[socket.socket] = []
    stack.callback(_close, listening)
    for family, address in found:
        at = (address[0], port or (listening[0].getsockname()[1] if listening else 0), *address[2:])
        listening.append(_at(family, at, spread=spread))
        listening[-1].listen(BACKLOG)
    return listening


def _at(family: int, address: Any, *, spread: bool) -> socket.socket:
    """Return a socket at an address."""
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if spread:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except BaseException:
        one.close()
        raise
    return one


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()
