"""The stores, each of which passes the same tests. To add one, add its line to `STORES`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from statecast.stores import MemoryStore, SharedStore, Sharing, SqliteStore, Store
from tests.engines import pgbouncer, postgres, valkey
from tests.stores.written_store import WriterHere, WrittenStore

Make = Callable[[], Store]


class Ticks:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def _memory(folder: Path, ticks: Ticks) -> Make:
    store = MemoryStore(clock=ticks)
    return lambda: store


def _shared_memory(folder: Path, ticks: Ticks) -> Make:
    store = MemoryStore(clock=ticks)
    return lambda: Sharing(store)


def _written(folder: Path, clock: Callable[[], float]) -> Callable[[], WrittenStore]:
    writer = WriterHere(folder / "threads.db", clock)
    return lambda: WrittenStore(writer)


def _postgres(url: str, clock: Callable[[], float]) -> Callable[[], SharedStore]:

    def make() -> SharedStore:
        from statecast.stores.postgres import PostgresStore  # an extra

        return PostgresStore(url, clock=clock)

    return make


def _redis(url: str, clock: Callable[[], float]) -> Callable[[], SharedStore]:
    def make() -> SharedStore:
        from statecast.stores.redis import RedisStore  # an extra

        return RedisStore(url, clock=clock)

    return make


#: Each is given a folder and a clock, and returns what makes the store there: called again, a store that finds what the
#: first kept.
STORES: dict[str, Callable[[Path, Ticks], Make]] = {
    "memory": _memory,
    "memory, shared": _shared_memory,
    "sqlite": lambda folder, ticks: lambda: SqliteStore(folder / "threads.db", clock=ticks),
    "sqlite, durable": lambda folder, ticks: lambda: SqliteStore(folder / "threads.db", durable=True, clock=ticks),
    "sqlite, in another process": _written,
    "postgres": lambda folder, ticks: _postgres(postgres.fresh_url(), ticks),
    "postgres, pooled": lambda folder, ticks: _postgres(pgbouncer.fresh_url(), ticks),
    "valkey": lambda folder, ticks: _redis(valkey.fresh_url(valkey.server()), ticks),
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
    "sqlite, in another process": lambda folder: _written(folder, time.monotonic),
    "postgres": lambda folder: _postgres(postgres.fresh_url(), time.monotonic),
    "postgres, pooled": lambda folder: _postgres(pgbouncer.fresh_url(), time.monotonic),
    "valkey": lambda folder: _redis(valkey.fresh_url(valkey.server()), time.monotonic),
    "valkey, a cluster": lambda folder: _redis(valkey.fresh_url(valkey.cluster()), time.monotonic),
    "redis": lambda folder: _redis(valkey.fresh_url(valkey.redis_server()), time.monotonic),
}


async def reopened(store: Store, make: Make) -> Store:
    """Close a store, and return one that finds what it kept."""
    await store.aclose()
    store = make()
    await store.open()
    return store
