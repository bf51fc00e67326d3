"""`Key`: names a thread in a store."""

from __future__ import annotations

import msgspec

__all__ = ["Key"]


class Key(msgspec.Struct, frozen=True, cache_hash=True):
    """An owner, and the id of one of their threads."""

    owner: str | None
    thread_id: str
