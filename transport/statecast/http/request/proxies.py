"""Proxies: how to recognize a forwarded request.

A proxy on the same machine makes strangers look local. Most add a header; nginx by its default adds none, and most of
its versions betray themselves only by HTTP/1.0, which no browser speaks. So a request that shows nothing of the kind
proves nothing: nothing may be open for that reason alone.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

__all__ = ["passed_on"]

#: Headers that proxies, load balancers and tunnels add to what they pass on.
HEADERS: Final = frozenset(
    [
        "cdn-loop",
        "cf-connecting-ip",
        "cf-ray",
        "client-ip",
        "do-connecting-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "via",
        "x-amzn-trace-id",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-envoy-internal",
        "x-original-host",
        "x-original-url",
        "x-proxyuser-ip",
        "x-real-ip",
    ]
)

#: What the names of further ones begin with.
PREFIXES: Final = ("x-forwarded-", "x-original-forwarded-", "tailscale-", "x-arr-", "x-vercel-")


def passed_on(scope: Scope) -> bool:
    """Return whether a request shows that a proxy has passed it on."""
    names = (name.decode("latin-1") for name, _ in scope["headers"])
    return scope["http_version"] == "1.0" or any(name in HEADERS or name.startswith(PREFIXES) for name in names)
