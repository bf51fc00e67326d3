"""`Vary`: which request headers a response depends on."""

from __future__ import annotations

from typing import Final

__all__ = ["add_vary"]

_VARY: Final = b"vary"


def add_vary(headers: list[tuple[bytes, bytes]], names: bytes) -> None:
    """Add names to the `Vary` header of a response, which gets one if it has none."""
    for index, (name, value) in enumerate(headers):
        if name == _VARY:
            headers[index] = _VARY, b"%b, %b" % (value, names)
            return
    headers.append((_VARY, names))
