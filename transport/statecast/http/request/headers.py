"""Headers of a request, read one at a time: few of them are ever needed, and an ASGI server has them as a list."""

from __future__ import annotations

from starlette.types import Scope

__all__ = ["header_of"]


def header_of(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a request with this name, which is in lower case; None if it has none."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
