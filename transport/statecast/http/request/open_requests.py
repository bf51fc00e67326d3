"""Open requests: requests in progress and open sockets, counted by owner and by address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from statecast.http.errors import TooManyRequests
from statecast.protocol.errors import RequestError
from statecast.threads import Limits

from .addresses import public_address
from .in_flight import BodiesInFlight, BodyInFlight

__all__ = ["OpenRequest", "OpenRequests", "open_request_of"]

#: In the scope of a request: its `OpenRequest`.
OPEN_REQUEST: Final = "statecast.visit"

#: Seconds after which a client may try again.
RETRY: Final = 5


class OpenRequest:
    """One request, from its arrival to the end of its response.

    Args:
        visits: What it is one of.
        address: Where it comes from; None: an address that is not counted by itself.
    """

    __slots__ = ("_address", "_bodies", "_owner", "_visits")

    def __init__(self, open_requests: OpenRequests, address: str | None) -> None:
        self._visits = open_requests
        self._address = address
        self._owner: str | None = None
        self._bodies: list[BodyInFlight] = []
        open_requests.total += 1
        if address is not None:
            open_requests.addresses[address] += 1

    def enter(self) -> None:
        """Check the number of open requests of its address.

        Raises:
            RequestError: `too_many_requests`.
        """
        limit = self._visits.limits.requests_per_address
        if self._address is not None and self._visits.addresses[self._address] > limit:
            raise _too_many("address", limit)

    def belong_to(self, owner: str | None) -> None:
        """Set its owner, and check the owner's number of open requests.

        Raises:
            RequestError: `too_many_requests`.
        """
        if owner is None or self._owner is not None:
            return
        limit = self._visits.limits.requests_per_owner
        if self._visits.owners[owner] >= limit:
            raise _too_many("owner", limit)
        self._owner = owner
        self._visits.owners[owner] += 1

    def arrive(self, on_evict: Callable[[], None]) -> BodyInFlight:
        """Return its body in flight; `on_evict` is called if the body has to make room for others."""
        body = self._visits.bodies.arrive(self._address, on_evict)
        self._bodies.append(body)
        return body

    def release(self) -> None:
        """Stop counting its body: the bytes are no longer held."""
        for body in self._bodies:
            body.release()
        self._bodies.clear()

    def end(self) -> None:
        """End it: the response is complete."""
        self.release()
        self._visits.total -= 1
        for counts, name in ((self._visits.addresses, self._address), (self._visits.owners, self._owner)):
            if name is not None:
                counts[name] -= 1
                if counts[name] <= 0:
                    del counts[name]


class OpenRequests:
    """All open requests of an app.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.total = 0  #: requests and sockets that are open
        self.addresses: Counter[str] = Counter()
        self.owners: Counter[str] = Counter()
        self.bodies = BodiesInFlight(limits)

    def begin(self, scope: Scope) -> OpenRequest:
        """Return the `OpenRequest` of a new request."""
        scope[OPEN_REQUEST] = visit = OpenRequest(self, public_address(scope.get("client")))
        return visit


def open_request_of(scope: Scope) -> OpenRequest:
    """Return the `OpenRequest` of a request."""
    visit: OpenRequest = scope[OPEN_REQUEST]
    return visit


def _too_many(whose: str, limit: int) -> RequestError:
    message = f"expected at most {limit} requests and sockets at once from one {whose}, got more; try again soon"
    return TooManyRequests(message, retry_after=RETRY, limit=limit)
