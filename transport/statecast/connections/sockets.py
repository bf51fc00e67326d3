"""The open sockets of a server: their limits, and which one is closed to make room for another.

An idle socket is closed first, then one whose request is incomplete: a client that opens many sockets and sends
nothing, or never completes a request, shuts nobody out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

from statecast.http.errors import TooManySockets
from statecast.http.request.addresses import public_address
from statecast.threads import Connections
from statecast.threads.errors import ServerFull
from statecast_agents.settings import check_texts

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

__all__ = ["Evictable", "Sockets"]

#: Files that a process needs beside its sockets: the store, uploads, what agents open.
OTHERS: Final = 256

#: Open files that a process asks for, one after the other, where it may not have as many as it wants.
LESS: Final = (65_536, 32_768, 16_384, 10_240, 8_192, 4_096, 2_048, 1_024)

#: Refused sockets that stay open for a moment, so that their clients see why.
LINGERING: Final = 32

RETRY: Final = 5  #: seconds after which a client may try again

_log: Final = logging.getLogger("statecast")


class Evictable(Protocol):
    """A connection that may be closed to make room for another."""

    def evict(self) -> None:
        """Close the connection at once."""


class Sockets:
    """The sockets of one server.

    Args:
        limits: How many there may be.
        proxies: Addresses or networks whose sockets are many clients', and not counted by address; `*` for any.

    Raises:
        TypeError: They are no list of texts.
        ValueError: One of them is no address and no network.
    """

    def __init__(self, limits: Connections, proxies: Sequence[str] = ()) -> None:
        check_texts("proxies", proxies)
        self._limits = limits
        self._counts = "*" not in proxies  #: whether sockets are counted by address at all
        self._proxies = [_network(proxy) for proxy in proxies if proxy != "*"]
        self._most = limits.sockets
        self._open: dict[asyncio.BaseTransport, str | None] = {}
        self._addresses: Counter[str] = Counter()
        self._idle: OrderedDict[Evictable, None] = OrderedDict()  #: without a request; the longest idle first
        self._receiving: OrderedDict[Evictable, None] = OrderedDict()  #: with an incomplete request; likewise

        self._lingering: set[asyncio.BaseTransport] = set()

    def __len__(self) -> int:
        return len(self._open)

    def fit(self) -> None:
        """Raise the limit of open files of the process; if the system refuses, accept fewer sockets."""
        if resource is None:
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._limits.sockets + OTHERS
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        for most in (wanted, *LESS):
            if soft < most <= wanted and (hard == resource.RLIM_INFINITY or most <= hard):
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
                    soft = most
                    break
                except (OSError, ValueError):
                    pass  # a system may allow less than it says
        if soft < wanted:
            self._most = max(1, soft - min(OTHERS, soft // 2))
            level = logging.WARNING if self._most < self._limits.sockets // 2 else logging.INFO
            _log.log(level, "the system allows %d open files, so at most %d sockets are taken", soft, self._most)

    def admit(self, transport: asyncio.BaseTransport, client: tuple[str, int] | None) -> None:
        """Admit a new socket.

        Raises:
            RequestError: `too_many_sockets`; `server_full`. It is not admitted.
        """
        address = self._address(client)
        limit = self._limits.sockets_per_address
        if address is not None and self._addresses[address] >= limit:
            message = f"expected at most {limit} open sockets from one address, got more; close some"
            raise TooManySockets(message, retry_after=RETRY, limit=limit)
        if len(self._open) >= self._most:
            spare = self._idle or self._receiving
            if not spare:
                message = f"the server has {self._most} open sockets already; try again soon"
                raise ServerFull(message, retry_after=RETRY, limit=self._most)
            spare.popitem(last=False)[0].evict()
        self._open[transport] = address
        if address is not None:
            self._addresses[address] += 1

    def linger(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether a refused socket may stay open for a moment, which only a few may."""
        if len(self._lingering) >= LINGERING:
            return False
        self._lingering.add(transport)
        return True

    def _address(self, client: tuple[str, int] | None) -> str | None:
        address = public_address(client) if self._counts else None
        if address is None or client is None or not self._proxies:
            return address
        peer = ipaddress.ip_address(client[0])
        return None if any(peer in proxy for proxy in self._proxies) else address

    def release(self, transport: asyncio.BaseTransport) -> None:
        """Remove a socket that was closed."""
        self._lingering.discard(transport)
        address = self._open.pop(transport, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def idle(self, connection: Evictable) -> None:
        """Mark a connection as idle."""
        self.busy(connection)
        self._idle[connection] = None

    def receiving(self, connection: Evictable) -> None:
        """Mark a connection as receiving a request."""
        self.busy(connection)
        self._receiving[connection] = None

    def busy(self, connection: Evictable) -> None:
        """Mark a connection as busy with a request, or as closed: it is not evicted."""
        self._idle.pop(connection, None)
        self._receiving.pop(connection, None)


def _network(proxy: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        message = (
            f'expected proxies as addresses such as "10.0.0.1", networks such as "10.0.0.0/8", or "*", got {proxy!r}'
        )
        raise ValueError(message) from None
