"""Z. Appending under a claim, beside plain commands of the same engine, and what a token takes in the engine.

The plain commands are XADDs in one pipeline, and one INSERT of all rows from arrays, in the same process over one
connection. The batches are those that occur: one entry of each of some threads, or several of one.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import msgspec

from statecast.stores import Appended, Change, Created, Key, store_of
from statecast.stores.shared import Claimed, SharedStore, is_shared

from .client import open_stream, read_stream
from .harness import Options, Result, Samples, compare, within
from .kept import Kept
from .plan import Plan, encode_plan, first_state, token
from .running import ENGINES, running, taken

__all__ = ["measure"]

#: Threads, and entries of each.
BATCHES = ((1, 1), (10, 1), (50, 1), (200, 1), (1, 20))
TOKENS = 6_000  #: of each side in a round
TARGET = 1.2
ALLOWED = 50.0  #: bytes that a token may take after compaction
STREAMS, COUNT = 10, 10_000  #: streams, and tokens of each, after which that is measured

APPEND = '[{"type":"append-text","path":["messages","0","parts","0","text"],"value":"%s"}]'

#: Entries: thread, revision, data.
Batch = list[tuple[Key, int, bytes]]
Write = Callable[[Batch], Awaitable[None]]


def measure(options: Options) -> list[Result]:
    """Measure each batch on each engine, then the size of what streams leave in it."""
    results = []
    for engine in ENGINES:
        with running(engine) as url:
            results += asyncio.run(_appends(engine, url, options.of(5)))
            results.append(_size(engine, url))
    return results


async def _appends(engine: str, url: str, rounds: int) -> list[Result]:
    store = store_of(url)
    assert is_shared(store)
    await store.open()
    plain, close = await (_plain_redis(url) if engine == "redis" else _plain_postgres(url))
    results = []
    for threads, entries in BATCHES:
        samples: Samples = {"ours": [], "limit": []}
        for index in range(rounds + 1):
            ours, keys = await _claimed(store, threads)
            for side, write in (("ours", ours), ("limit", plain)):
                gc.collect()
                took = await _took(write, keys, entries)
                if index:
                    samples[side].append(took)
        title = f"Z. {engine}, appending {entries} to each of {threads} threads, per entry"
        results.append(compare(title, "µs", samples, target=TARGET, scale=1e6))
    await close()
    await store.aclose()
    return results


async def _claimed(store: SharedStore, threads: int) -> tuple[Write, list[Key]]:
    """Return what appends to new threads, under claims of a minute."""
    keys = [Key(None, f"append-{secrets.token_hex(6)}") for _ in range(threads)]
    tokens = {}
    for key in keys:
        claimed = await store.claim(key, "benchmark", 60)
        assert isinstance(claimed, Claimed)
        tokens[key] = claimed.token
    created: list[Change] = [
        Created(key, "benchmark", secrets.token_hex(6), True, msgspec.json.encode(first_state())) for key in keys
    ]
    assert not await store.write(created, tokens)

    async def write(batch: Batch) -> None:
        changes = [Appended(key, revision, "operations", data) for key, revision, data in batch]
        assert not await store.write(changes, tokens)

    return write, keys


async def _took(write: Write, keys: list[Key], entries: int) -> float:
    """Return the seconds that an entry takes."""
    data = (APPEND % token(7)).encode()
    batches = max(20, TOKENS // (len(keys) * entries))
    started = perf_counter()
    for batch in range(batches):
        await write([(key, batch * entries + place + 1, data) for key in keys for place in range(entries)])
    return (perf_counter() - started) / (batches * len(keys) * entries)


async def _plain_redis(url: str) -> tuple[Write, Callable[[], Awaitable[None]]]:
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    await client.ping()

    async def write(batch: Batch) -> None:
        pipeline = client.pipeline(transaction=False)
        for key, _, data in batch:
            pipeline.xadd(f"plain-{key.thread_id}", {"d": data})
        await pipeline.execute()

    return write, client.aclose


async def _plain_postgres(url: str) -> tuple[Write, Callable[[], Awaitable[None]]]:
    import psycopg

    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS plain (key text, revision bigint, kind text, data bytea, "
        "PRIMARY KEY (key, revision))"
    )

    async def write(batch: Batch) -> None:
        columns: list[list[Any]] = [[], [], []]
        for key, revision, data in batch:
            for column, value in zip(columns, (key.thread_id, revision, data), strict=True):
                column.append(value)
        await connection.execute(
            "INSERT INTO plain SELECT k, r, 'operations', d FROM unnest(%s::text[], %s::bigint[], %s::bytea[]) "
            "AS entry(k, r, d)",
            columns,
            binary=True,
        )

    return write, connection.close


def _size(engine: str, url: str) -> Result:
    """Return what each token of some long streams takes, once the server has stored and compacted all."""
    before = taken(engine, url)
    with Kept(url) as server:
        for _ in range(STREAMS):
            plan = Plan(kind="tokens", count=COUNT, turns=4)
            body = encode_plan(plan, state=first_state(), threadId=f"thread-{secrets.token_hex(6)}")
            with open_stream(server.port, body) as connection:
                read_stream(connection)
        server.settle()
    each = (taken(engine, url) - before) / (STREAMS * COUNT)
    return within(f"Z. {engine}, the size of a token after compaction", "B", [each], ALLOWED)
