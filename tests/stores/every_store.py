"""The stores, each of which passes the same tests. To add one, add its line to `STORES`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from statecast.stores import MemoryStore, SharedStore, Sharing, SqliteStore, Store

Make = Callable[[], Store]


def _memory(folder: Path) -> Make:
    store = MemoryStore()
    return lambda: store


def _shared_memory(folder: Path) -> Make:
    store = MemoryStore()
    return lambda: Sharing(store)


#: Each is given a folder, and returns what makes the store there: called again, a store that finds what the first kept.
STORES: dict[str, Callable[[Path], Make]] = {
    "memory": _memory,
    "memory, shared": _shared_memory,
    "sqlite": lambda folder: lambda: SqliteStore(folder / "threads.db"),
    "sqlite, durable": lambda folder: lambda: SqliteStore(folder / "threads.db", durable=True),
}


def _one_for_all(folder: Path) -> Callable[[], SharedStore]:
    store = Sharing(MemoryStore())
    return lambda: store


def _one_file_for_all(folder: Path) -> Callable[[], SharedStore]:
    store = Sharing(SqliteStore(folder / "threads.db"))
    return lambda: store


#: Those that several processes share: what each of them would make.
SHARED: dict[str, Callable[[Path], Callable[[], SharedStore]]] = {
    "memory, shared": _one_for_all,
    "sqlite, shared": _one_file_for_all,
}


async def reopened(store: Store, make: Make) -> Store:
    """Close a store, and return one that finds what it kept."""
    await store.aclose()
    store = make()
    await store.open()
    return store
