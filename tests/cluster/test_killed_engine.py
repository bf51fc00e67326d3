"""An engine is killed while batches begin: each that was accepted is in the inbox, or its run is in the log."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from statecast.protocol import RunEntry, RunState, Status
from statecast.stores import (
    Appended,
    BatchAccepted,
    BatchSettled,
    Claimed,
    Created,
    Key,
    SavedThread,
    SharedChange,
    SharedStore,
    StoreUnavailable,
    is_shared,
    read_entry,
    store_of,
    write_entry,
)
from tests.chaos.crowd import seeded
from tests.cluster.engines import ENGINES
from tests.counts import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

THREADS = 24
KILLS = count("ENGINE_KILLS", 1, long=10)  #: of each engine


class Batches:
    """Batches of one thread: each is accepted, begins and ends, until the store is away.

    Args:
        store: Where.
        key: The thread.
        random: How long they wait.
    """

    def __init__(self, store: SharedStore, key: Key, random: Random) -> None:
        self.key = key
        self._store = store
        self._random = random
        self._token = 0
        self._revision = 0
        self.accepted: list[str] = []
        self.ended: list[str] = []

    async def go_on(self) -> None:
        claimed = await self._store.claim(self.key, "process", 60.0)
        assert isinstance(claimed, Claimed)
        self._token = claimed.token
        try:
            await self._write(Created(self.key, "agent", "epoch", True, b"{}"))
            while True:
                run = f"run-{len(self.accepted)}"
                await self._write(BatchAccepted(self.key, run, b"batch"))
                self.accepted.append(run)
                await asyncio.sleep(self._random.random() * 0.003)
                await self._write(self._entry(run, "running", open=True), BatchSettled(self.key, run))
                await self._write(self._entry(run, "completed", open=False))
                self.ended.append(run)
        except StoreUnavailable:
            pass

    def _entry(self, run: str, status: Status, *, open: bool) -> Appended:
        self._revision += 1
        entry = RunEntry(self._revision, RunState(run, status))
        return Appended(self.key, self._revision, *write_entry(entry), open)

    async def _write(self, *changes: SharedChange) -> None:
        assert not await self._store.write(changes, {self.key: self._token})

    def check(self, saved: SavedThread) -> None:
        """Check what a thread has, once the engine is there again."""
        inbox = {run_id for run_id, _ in saved.inbox}
        runs: dict[str, list[str]] = {}
        for entry in saved.entries:
            found = read_entry(*entry)
            assert isinstance(found, RunEntry)
            runs.setdefault(found.run.id, []).append(found.run.status)
        for run in self.accepted:
            assert (run in inbox) != (run in runs), f"{run} is in the inbox: {run in inbox}; in the log: {run in runs}"
        assert all(runs[run] == ["running", "completed"] for run in self.ended)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_accepted_batch_is_in_the_inbox_or_in_the_log_when_an_engine_is_killed(engine: str) -> None:
    seed, random = seeded(f"killed {engine}")
    print(f"repeat with STATECAST_SEED={seed}")
    with ENGINES[engine]() as killed:
        for life in range(KILLS):
            store = await opened(killed.url(killed.port))
            threads = [Batches(store, Key(None, f"{life}-{number}"), random) for number in range(THREADS)]
            going_on = [asyncio.create_task(thread.go_on()) for thread in threads]
            async with asyncio.timeout(60):
                while not any(thread.ended for thread in threads):  # noqa: ASYNC110  # none has an event
                    await asyncio.sleep(0.01)
            await asyncio.sleep(random.random() * 0.5)
            await killed.kill()
            await asyncio.gather(*going_on)
            await store.aclose()

            await killed.start()
            store = await opened(killed.url(killed.port))
            for thread in threads:
                saved = await store.load(thread.key)
                if saved is not None:
                    thread.check(saved)
                assert saved is not None or not thread.accepted
            await store.aclose()


async def opened(url: str) -> SharedStore:
    store = store_of(url)
    assert is_shared(store)
    await store.open()
    return store
