"""Limits of connections, which only Statecast's own server enforces; other ASGI servers have settings for them."""

from __future__ import annotations

import msgspec

from statecast_agents.settings import check_numbers

__all__ = ["Connections"]


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that `statecast serve` and `serve()` enforce on connections: `Limits(connections=Connections(…))`."""

    sockets: int = 10_000  #: open at once; fewer where the system allows the process fewer files
    sockets_per_address: int = 1_024  #: the same, from one public address
    header_bytes: int = 65_536  #: of a request's first line and headers together
    headers: int = 128  #: of a request
    header_seconds: float = 10.0  #: until a request's headers have arrived
    idle_seconds: float = 5.0  #: that a connection stays open without a request
    stall_seconds: float = 60.0  #: that a client may read nothing of what is sent to it
    compress: bool = False  #: whether WebSocket messages may be compressed

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError, ValueError: A limit means nothing.
        """
        check_numbers(self)
