"""The engines that several processes share, each started for one measure, and what is stored in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.engines import ENGINES

__all__ = ["ENGINES", "running", "taken"]


@contextmanager
def running(engine: str) -> Iterator[str]:
    """Start an engine, and yield the store's URL."""
    with ENGINES[engine]() as started:
        yield started.url(started.port)


def taken(engine: str, url: str) -> int:
    """Return the bytes that an engine uses for what is stored: of memory, or of tables that were vacuumed."""
    if engine == "redis":
        from redis import Redis

        client = Redis.from_url(url)
        return int(client.info("memory")["used_memory_dataset"])
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace, "
            "'information_schema'::regnamespace)"
        ).fetchone()
    return int(found[0] or 0) if found else 0
