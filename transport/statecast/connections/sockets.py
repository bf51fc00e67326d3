"""The open sockets of a server: how many there may be, and which makes room for another.

A socket without a request makes room, or else one whose request is still arriving: whoever opens many and asks for
nothing, or never asks to the end, shuts nobody out.
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

__all__ = ["Resting", "Sockets"]

#: Files that a process needs beside its sockets: the store, uploads, what agents open.
OTHERS: Final = 256

#: Open files that a process asks for, one after the other, where it may not have as many as it wants.
LESS: Final = (65_536, 32_768, 16_384, 10_240, 8_192, 4_096, 2_048, 1_024)

#: Refused sockets that stay open for a moment, so that their clients see why.
LINGERING: Final = 32

RETRY: Final = 5  #: seconds after which a client may try again

_log: Final = logging.getLogger("statecast")


class Resting(Protocol):
    """A connection that may make room for another."""

    def make_room(self) -> None:
        """Close, at once."""


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
        self._resting: OrderedDict[Resting, None] = OrderedDict()  #: no request; the one that rests longest first
        self._arriving: OrderedDict[Resting, None] = OrderedDict()  #: one that is incomplete; likewise

        self._lingering: set[asyncio.BaseTransport] = set()

    def __len__(self) -> int:
        return len(self._open)

    def fit(self) -> None:
        """Let the process have as many files as that takes; where it may not, take fewer sockets."""
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
        """Take a new socket.

        Raises:
            RequestError: `too_many_sockets`; `server_full`. It is not taken.
        """
        address = self._address(client)
        limit = self._limits.sockets_per_address
        if address is not None and self._addresses[address] >= limit:
            message = f"expected at most {limit} open sockets from one address, got more; close some"
            raise TooManySockets(message, retry_after=RETRY, limit=limit)
        if len(self._open) >= self._most:
            spare = self._resting or self._arriving
            if not spare:
                message = f"the server has {self._most} open sockets already; try again soon"
                raise ServerFull(message, retry_after=RETRY, limit=self._most)
            spare.popitem(last=False)[0].make_room()
        self._open[transport] = address
        if address is not None:
            self._addresses[address] += 1

    def linger(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a refused socket may stay open for a moment: not where many do."""
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
        """Forget a socket that was closed."""
        self._lingering.discard(transport)
        address = self._open.pop(transport, None)
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def rest(self, connection: Resting) -> None:
        """Note that a connection has no request under way."""
        self.work(connection)
        self._resting[connection] = None

    def arrive(self, connection: Resting) -> None:
        """Note that a request has begun to arrive on a connection."""
        self.work(connection)
        self._arriving[connection] = None

    def work(self, connection: Resting) -> None:
        """Note that a connection has a complete request, or is no more."""
        self._resting.pop(connection, None)
        self._arriving.pop(connection, None)


def _network(proxy: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        message = (
            f'expected proxies as addresses such as "10.0.0.1", networks such as "10.0.0.0/8", or "*", got {proxy!r}'
        )
        raise ValueError(message) from None
