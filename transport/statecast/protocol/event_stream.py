"""The headers of streams, and server-sent events: their headers, their heartbeat, and the frame of one."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["EVENT_STREAM", "HEARTBEAT", "STREAMED", "event_frame", "typed_event"]

_encode: Final = msgspec.json.Encoder().encode

#: The headers of every stream, which keep caches and proxies from buffering it. Without `no-transform`, middleware that
#: compresses (Express, Next.js, Traefik, Caddy) holds a stream back to its end.
STREAMED: Final = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx
)

#: The headers of a stream of server-sent events.
EVENT_STREAM: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), *STREAMED)

#: A comment, which clients ignore.
HEARTBEAT: Final = b": \n\n"


def event_frame(value: object) -> bytes:
    """Return a server-sent event with `value` as JSON."""
    return b"data: %b\n\n" % _encode(value)


def typed_event(type: str, **fields: Any) -> bytes:
    """Return a server-sent event with an object whose first field is its `type`."""
    return event_frame({"type": type, **fields})
