"""Operations as tests write them: `("set", "a/b/0", value)`."""

from __future__ import annotations

import json

from statecast_agents import Document, Json

Written = tuple[str, str, Json]


def flushed(document: Document) -> list[Written]:
    """Flush, and return the operations."""
    operations = json.loads(document.flush().operations or b"[]")
    return [(operation["type"], "/".join(operation["path"]), operation["value"]) for operation in operations]


def doing(code: str, document: Document, **names: object) -> list[Written]:
    """Run Python statements in which `s` is the state, and return the operations they amount to."""
    exec(code, {"s": document.root, "document": document, **names})
    return flushed(document)
