"""Bodies in flight: bytes received and not yet processed, counted for the whole server and by address.

If they exceed the limit, the largest body that is still arriving is given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from statecast.http.errors import TooManyBytes
from statecast.protocol.errors import RequestError
from statecast.threads import Limits
from statecast.threads.errors import ServerFull

__all__ = ["BodiesInFlight", "BodyInFlight"]

RETRY: Final = 2  #: seconds after which a client may try again


class BodyInFlight:
    """One body in flight.

    Args:
        bodies: What it is one of.
        address: Where it comes from; None: an address that is not counted by itself.
        give_up: Called when it has to make room for others.
    """

    __slots__ = ("_address", "_bodies", "_on_evict", "evicted", "size")

    def __init__(self, bodies: BodiesInFlight, address: str | None, on_evict: Callable[[], None]) -> None:
        self._bodies = bodies
        self._address = address
        self._on_evict = on_evict
        self.size = 0
        self.evicted = False

    def grow(self, size: int) -> None:
        """Count further bytes.

        Raises:
            RequestError: `too_many_bytes`; `server_full`.
        """
        self.size += size
        self._bodies.count(size, self._address)
        self._bodies.check(self, self._address)

    def check(self) -> None:
        """Check that the body was not given up to make room for others.

        Raises:
            RequestError: `server_full`.
        """
        if self.evicted:
            raise self._bodies.full()

    def complete(self) -> None:
        """Mark the body as complete; its bytes count until it is released."""
        self._bodies.arriving.discard(self)

    def release(self) -> None:
        """Stop counting the body: its bytes are no longer held."""
        self._bodies.count(-self.size, self._address)
        self._bodies.arriving.discard(self)
        self.size = 0

    def evict(self) -> None:
        """Give the body up to make room for others."""
        self.release()
        self.evicted = True
        self._on_evict()


class BodiesInFlight:
    """All bodies in flight.

    Args:
        limits: How many bytes there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.bodies
        self._limit_per_address = limits.bodies_per_address
        self._addresses: Counter[str] = Counter()
        self.total = 0  #: bytes in flight
        self.arriving: set[BodyInFlight] = set()

    def arrive(self, address: str | None, on_evict: Callable[[], None]) -> BodyInFlight:
        """Return a new `BodyInFlight`."""
        body = BodyInFlight(self, address, on_evict)
        self.arriving.add(body)
        return body

    def count(self, size: int, address: str | None) -> None:
        """Add to the bytes in flight; a negative size subtracts."""
        self.total += size
        if address is not None:
            self._addresses[address] += size
            if self._addresses[address] <= 0:
                del self._addresses[address]

    def check(self, body: BodyInFlight, address: str | None) -> None:
        """Check that there is room for the received bytes; otherwise give up another body.

        Raises:
            RequestError: As `BodyInFlight.grow`; the body is released by then.
        """
        if address is not None and self._addresses[address] > self._limit_per_address:
            body.release()
            limit = self._limit_per_address
            message = f"expected at most {limit} bytes of bodies in flight from one address, got more; try again soon"
            raise TooManyBytes(message, retry_after=RETRY, limit=limit)
        while self.total > self._limit and self.arriving:
            largest = max(self.arriving, key=lambda arriving: arriving.size)
            if largest is body or largest.size == 0:
                break
            largest.evict()
        if self.total > self._limit:
            body.release()
            raise self.full()

    def full(self) -> RequestError:
        """Return the error for a body for which there is no room."""
        message = f"the server holds {self._limit} bytes of bodies already; try again soon"
        return ServerFull(message, retry_after=RETRY, limit=self._limit)
