"""Stores: where threads are stored, and the contract that each store fulfils. `store_of` finds one by its URL."""

from __future__ import annotations

import re
from typing import Final

from .base import Change, Deleted, Moved, Store
from .entries import read_entry, write_entry
from .errors import ChangeRefused, Damaged, Fenced, StoreUnavailable
from .key import Key
from .log import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Compacted,
    Created,
    LogStore,
    Renewed,
    SavedThread,
)
from .memory import MemoryStore
from .records import File, RecordErased, RecordStore, RecordWritten, Summary, SummaryChanged
from .shared import Claimed, Durability, Held, Place, Post, PostTaken, SharedChange, SharedStore, Tail, is_shared
from .sharing import Sharing
from .sqlite import SqliteStore
from .wake import NoWake, Wake, topic_of

__all__ = [
    "MEMORY",
    "Appended",
    "Assigned",
    "BatchAccepted",
    "BatchApplied",
    "BatchChanged",
    "BatchSettled",
    "Change",
    "ChangeRefused",
    "Claimed",
    "Compacted",
    "Created",
    "Damaged",
    "Deleted",
    "Durability",
    "Fenced",
    "File",
    "Held",
    "Key",
    "LogStore",
    "MemoryStore",
    "Moved",
    "NoWake",
    "Place",
    "Post",
    "PostTaken",
    "RecordErased",
    "RecordStore",
    "RecordWritten",
    "Renewed",
    "SavedThread",
    "SharedChange",
    "SharedStore",
    "Sharing",
    "SqliteStore",
    "Store",
    "StoreUnavailable",
    "Summary",
    "SummaryChanged",
    "Tail",
    "Wake",
    "is_shared",
    "read_entry",
    "store_of",
    "topic_of",
    "write_entry",
]

#: What the query of a store's URL may be.
DURABLE: Final = {"durable=true": True, "durable=false": False}


def store_of(url: str, *, durable: bool = False) -> Store:
    """Return the store that a URL names, such as `memory`, `sqlite:///relative.db` or `postgresql://user@host/database`.

    Args:
        url: The URL of one in a file or in Redis may end in `?durable=true`.
        durable: The same. What is in PostgreSQL is as durable as its server is configured.

    Raises:
        ValueError: It names none, or one that cannot be durable.
        ImportError: What it needs is not installed.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    if url.startswith(("redis://", "rediss://", "redis+", "rediss+")):
        return _redis(url, durable=durable)
    place, mark, query = url.partition("?")
    if mark and query not in DURABLE:
        raise ValueError(f'expected a store such as "sqlite:///statecast.db?durable=true", got "{_without_user(url)}"')
    durable = durable or DURABLE.get(query, False)
    if place == "memory" and not mark:
        if durable:
            raise ValueError("expected a store in a file, which can be durable, got one in memory")
        return MemoryStore()
    if place.startswith("sqlite:///") and len(place) > len("sqlite:///"):
        return SqliteStore(place.removeprefix("sqlite:///"), durable=durable)
    raise ValueError(
        'expected a store such as "memory", "sqlite:///statecast.db", "postgresql://user@host/database" or '
        f'"redis://host:6379/0", got "{_without_user(url)}"{_meant(url)}'
    )


def _meant(url: str) -> str:
    """Return the question whether a store in a file is meant, if only the name of a file is given."""
    named = url.endswith((".db", ".sqlite", ".sqlite3")) and ":" not in url
    return f' (did you mean "sqlite:///{url}"?)' if named else ""


def _without_user(url: str) -> str:
    """Return a URL without what may be a password."""
    return re.sub("//.*@", "//", url, flags=re.DOTALL)


def _postgres(url: str) -> Store:
    try:
        from .postgres import PostgresStore
    except ImportError as error:
        raise ImportError('a store in PostgreSQL needs psycopg: pip install "statecast[postgres]"') from error
    return PostgresStore(url)


def _redis(url: str, *, durable: bool) -> Store:
    try:
        from .redis import RedisStore
    except ImportError as error:
        raise ImportError('a store in Redis needs redis-py: pip install "statecast[redis]"') from error
    return RedisStore(url, durable=durable)
