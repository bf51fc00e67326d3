"""Create ids of messages, calls and sources, and read those of messages."""

from __future__ import annotations

import os

from .values import Json

__all__ = ["id_of", "new_id"]


def new_id(kind: str) -> str:
    """Return a new id such as `msg_4b1c…`, with 80 random bits so that ids of several servers do not collide."""
    return f"{kind}_{os.urandom(10).hex()}"


def id_of(message: Json) -> Json:
    """Return the id of a message in a state, which may be any JSON; None if it has none."""
    return message.get("id") if isinstance(message, dict) else None
