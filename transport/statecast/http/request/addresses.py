"""Addresses that tell clients apart.

Private addresses do not: usually they are a proxy's, which all clients share. To tell clients behind a proxy with a
public address apart, the server has to trust the proxy's headers (`--proxy`).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["public_address"]


def public_address(client: tuple[str, int] | None) -> str | None:
    """Return the address under which a client's connections are counted; None: they are not counted by address.

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
