"""Ids of messages, calls and sources, as an agent makes them."""

from __future__ import annotations

import secrets

__all__ = ["new_id"]


def new_id(kind: str) -> str:
    """Return a new id such as `msg_4b1c…`, with 80 random bits so that ids of several servers do not collide."""
    return f"{kind}_{secrets.token_hex(10)}"
