"""Stores: one seam, several places to keep threads. One file per store, registered in `open_store`."""

from __future__ import annotations

from .memory import MemoryStore
from .seam import (
    Accepted,
    Amended,
    Appended,
    Applied,
    Assigned,
    Card,
    Change,
    ChangeRefused,
    Compacted,
    Created,
    Damaged,
    Deleted,
    Described,
    Erased,
    File,
    Key,
    Moved,
    Noted,
    Saved,
    Settled,
    Store,
    StoreUnavailable,
    read_entry,
    write_entry,
)
from .sqlite import SqliteStore

__all__ = [
    "Accepted",
    "Amended",
    "Appended",
    "Applied",
    "Assigned",
    "Card",
    "Change",
    "ChangeRefused",
    "Compacted",
    "Created",
    "Damaged",
    "Deleted",
    "Described",
    "Erased",
    "File",
    "Key",
    "MemoryStore",
    "Moved",
    "Noted",
    "Saved",
    "Settled",
    "SqliteStore",
    "Store",
    "StoreUnavailable",
    "read_entry",
    "store_of",
    "write_entry",
]


def store_of(url: str) -> Store:
    """Return the store that a URL names: `memory`, `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        ValueError: It names none.
    """
    if url == "memory":
        return MemoryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    raise ValueError(f'expected a store such as "memory" or "sqlite:///statecast.db", got "{url}"')
