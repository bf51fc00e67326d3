"""The limit of Y: plain commands of an engine, in two processes that do nothing else.

One writes tokens of many threads at a pace, those of one turn of its loop in one pipeline or one statement, and hints
afterwards; the other one reads what is new of the threads that it is hinted at. There is no token, state or client.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import msgspec

from .plan import Plan, stamp, ticks

__all__ = ["bare"]

ROOT = Path(__file__).parents[1]
CHANNEL = "bare"
WRITERS, FOLLOWER = "writers", "follower"


def bare(engine: str, url: str, threads: int, pause: float, seconds: float) -> dict[str, float]:
    """Return what a token waits between being made and being read."""
    stem = f"bare-{secrets.token_hex(4)}"
    words = [engine, url, stem, str(threads), str(pause), str(round(seconds / pause))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(ROOT) for path in sys.path)}
    command = [sys.executable, "-m", "benchmarks.bare"]
    with subprocess.Popen(
        [*command, FOLLOWER, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "ready\n"
        subprocess.run([*command, WRITERS, *words], cwd=ROOT, env=environment, check=True)
        line = follower.stdout.readline()
    return msgspec.json.decode(line, type=dict[str, float])


class _Redis:
    """XADDs in a pipeline, then PUBLISH; XRANGE on a hint."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis

        self._client = Redis.from_url(url)
        self._last: dict[str, bytes] = {}

    async def open(self) -> None:
        await self._client.ping()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def write(self, tokens: list[tuple[str, int, str]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for thread, revision, data in tokens:
            pipeline.xadd(thread, {"d": data}, id=f"1-{revision}")
        for thread in {thread for thread, _, _ in tokens}:
            pipeline.publish(CHANNEL, thread)
        await pipeline.execute()

    async def listen(self, heard: asyncio.Queue[str]) -> None:
        hints = self._client.pubsub(ignore_subscribe_messages=True)
        await hints.subscribe(CHANNEL)
        print("ready", flush=True)
        async for message in hints.listen():
            if message["type"] == "message":
                heard.put_nowait(message["data"].decode())

    async def read(self, threads: set[str]) -> list[str]:
        pipeline = self._client.pipeline(transaction=False)
        for thread in threads:
            pipeline.xrange(thread, min=b"(" + self._last.get(thread, b"0-0"))
        found: list[str] = []
        for thread, entries in zip(threads, await pipeline.execute(), strict=True):
            if entries:
                self._last[thread] = entries[-1][0]
            found += [fields[b"d"].decode() for _, fields in entries]
        return found


class _Postgres:
    """One INSERT of all rows, then a NOTIFY of its own; a SELECT on a hint."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last: dict[str, int] = {}

    async def open(self) -> None:
        import psycopg

        self._writes = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        self._hints = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        await self._writes.execute(
            "CREATE TABLE IF NOT EXISTS bare (key text, revision bigint, data text, PRIMARY KEY (key, revision))"
        )

    async def aclose(self) -> None:
        await self._writes.close()
        await self._hints.close()

    async def write(self, tokens: list[tuple[str, int, str]]) -> None:
        keys, revisions, data = map(list, zip(*tokens, strict=True))
        await self._writes.execute(
            "INSERT INTO bare SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[])", (keys, revisions, data)
        )
        await self._hints.execute(f"SELECT pg_notify('{CHANNEL}', k) FROM unnest(%s::text[]) k", (list(set(keys)),))

    async def listen(self, heard: asyncio.Queue[str]) -> None:
        await self._hints.execute(f"LISTEN {CHANNEL}")
        print("ready", flush=True)
        async for hint in self._hints.notifies():
            heard.put_nowait(hint.payload)

    async def read(self, threads: set[str]) -> list[str]:
        keys = list(threads)
        found = await self._writes.execute(
            "SELECT key, revision, data FROM unnest(%s::text[], %s::bigint[]) AS place(k, r) "
            "JOIN bare ON key = k AND revision > r ORDER BY key, revision",
            (keys, [self._last.get(key, 0) for key in keys]),
        )
        rows = await found.fetchall()
        for key, revision, _ in rows:
            self._last[key] = revision
        return [data for _, _, data in rows]


_Engine = _Redis | _Postgres


async def _write(engine: _Engine, stem: str, threads: int, pause: float, count: int) -> None:
    pending: list[tuple[str, int, str]] = []
    ready = asyncio.Event()
    over = False

    async def talk(index: int) -> None:
        plan = Plan(kind="paced", count=count, pause=pause, delay=0.3 + pause * index / threads)
        revision = 0
        async for _ in ticks(plan):
            revision += 1
            pending.append((f"{stem}-{index}", revision, stamp()))
            ready.set()

    async def flush() -> None:
        while not over or pending:
            await ready.wait()
            ready.clear()
            if pending:
                batch = pending[:]
                pending.clear()
                await engine.write(batch)

    flushing = asyncio.create_task(flush())
    await asyncio.gather(*(talk(index) for index in range(threads)))
    over = True
    ready.set()
    await flushing


async def _follow(engine: _Engine, stem: str, threads: int, count: int) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(engine.listen(heard))
    waits: list[float] = []
    while len(waits) < threads * count:
        hinted = {await heard.get()}
        while not heard.empty():
            hinted.add(heard.get_nowait())
        found = await engine.read({thread for thread in hinted if thread.startswith(stem)} or {stem})
        now = perf_counter()
        waits += [now - float(made) for made in found]
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    cuts = statistics.quantiles(waits[len(waits) // 10 :], n=100)
    print(msgspec.json.encode({"p50": cuts[49], "p99": cuts[98]}).decode(), flush=True)


async def _main(role: str, name: str, url: str, stem: str, threads: int, pause: float, count: int) -> None:
    engine: _Engine = _Redis(url) if name == "redis" else _Postgres(url)
    await engine.open()
    if role == WRITERS:
        await _write(engine, stem, threads, pause, count)
    else:
        await _follow(engine, stem, threads, count)
    await engine.aclose()


if __name__ == "__main__":
    import uvloop

    words = sys.argv[1:]
    role, name, url, stem = words[:4]
    uvloop.run(_main(role, name, url, stem, int(words[4]), float(words[5]), int(words[6])))
