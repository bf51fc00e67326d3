"""The headers of every stream, which keep caches and proxies from buffering it.

Without `no-transform`, middleware that compresses (Express, Next.js, Traefik, Caddy) holds a stream back to its end.
"""

from __future__ import annotations

from typing import Final

__all__ = ["STREAMED"]

STREAMED: Final = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx
)
