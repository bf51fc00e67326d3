"""Addresses of clients, as far as they tell clients apart.

Those of private networks do not: a proxy has one, as a rule, and then all clients share it. To tell clients behind a
proxy with a public address apart, the server has to trust what the proxy says (`--proxy`).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["public_address"]


def public_address(client: tuple[str, int] | None) -> str | None:
    """Return what a client's connections are counted by; None: they are not counted by address.

    Args:
        client: The `client` of an ASGI scope.
    """
    return None if client is None else _counted(client[0])


@lru_cache(4_096)
def _counted(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            # Whoever has one address has the 2^64 of its network.
            return str(ipaddress.ip_network((address, 64), strict=False)) if address.is_global else None
        address = address.ipv4_mapped
    return str(address) if address.is_global else None
