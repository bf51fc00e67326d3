"""Entries are written on the event loop, where nothing has to be waited for; everything else is not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statecast.stores import Appended, BatchAccepted, Change, ChangeRefused, Created, Key, SqliteStore
from statecast.stores.sqlite import store as limits

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
OTHER = Created(Key(None, "other"), "agent", "e", True, b"0")


def entry(revision: int, *, open: bool | None = None, data: bytes = b"[]") -> Appended:
    return Appended(KEY, revision, "operations", data, open)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with a thread that was written to."""
    store = SqliteStore(tmp_path / "threads.db")
    await store.open()
    await store.commit([Created(KEY, "agent", "e", True, b"0"), entry(1)])
    yield store
    await store.aclose()


async def gives_way(store: SqliteStore, *changes: Change) -> bool:
    """Commit, and tell whether anything else had a turn before that was done."""
    turns: list[None] = []
    asyncio.get_running_loop().call_soon(turns.append, None)
    await store.commit(changes)
    return bool(turns)


async def revisions(store: SqliteStore) -> list[int]:
    saved = await store.load(KEY)
    assert saved is not None
    return [revision for revision, _, _ in saved.entries]


async def test_entries_of_a_run_that_goes_on_are_written_at_once(store: SqliteStore, tmp_path: Path) -> None:
    assert not await gives_way(store, entry(2), entry(3))
    assert not await gives_way(store, entry(4))
    (tmp_path / "killed").mkdir()
    for file in tmp_path.glob("threads.db*"):  # what a process leaves that is killed now
        shutil.copy(file, tmp_path / "killed")
    left = SqliteStore(tmp_path / "killed" / "threads.db")
    await left.open()
    assert await revisions(left) == await revisions(store) == [1, 2, 3, 4]
    await left.aclose()


@pytest.mark.parametrize(
    "changes",
    [
        [OTHER],
        [entry(2), BatchAccepted(KEY, "r", b"")],
        [entry(2, open=True)],
        [entry(2, data=bytes(limits.HERE_BYTES + 1))],
        [entry(revision) for revision in range(2, limits.HERE + 3)],
        [Appended(Key(None, "unknown"), 1, "operations", b"[]")],
    ],
    ids=["a thread", "a batch", "the start of a run", "much", "many", "an unknown thread"],
)
async def test_what_is_more_than_some_entries_gives_way(store: SqliteStore, changes: list[Change]) -> None:
    try:
        assert await gives_way(store, *changes)
    except ChangeRefused:
        assert changes[0].key.thread_id == "unknown"


async def test_a_commit_waits_for_what_was_asked_of_the_store_before(store: SqliteStore) -> None:
    first = asyncio.create_task(store.commit([OTHER, entry(2)]))
    await asyncio.sleep(0)
    assert await gives_way(store, entry(3))
    assert first.done()
    assert await revisions(store) == [1, 2, 3]


async def test_a_commit_waits_for_one_whose_waiter_gave_up(store: SqliteStore) -> None:
    first = asyncio.create_task(store.commit([OTHER]))
    await asyncio.sleep(0)
    (job,) = store._jobs
    first.cancel()
    await asyncio.wait({first})
    late = [entry(2)]
    if job.done():
        await store.commit(late)
    else:
        assert await gives_way(store, *late)
    assert await revisions(store) == [1, 2]


async def test_the_thread_syncs(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHECKPOINT_AT", 0)
    assert await gives_way(store, entry(2))  # a checkpoint is due
    monkeypatch.undo()
    assert not await gives_way(store, entry(3))
    assert store._connection is not None
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert await gives_way(store, entry(4))  # the log begins anew
    assert not await gives_way(store, entry(5))
    assert await revisions(store) == [1, 2, 3, 4, 5]


async def test_a_store_that_syncs_each_commit_always_gives_way(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "durable.db", durable=True)
    await store.open()
    assert await gives_way(store, Created(KEY, "agent", "e", True, b"0"), entry(1))
    assert await gives_way(store, entry(2))
    await store.aclose()


async def test_after_a_write_that_took_long_the_thread_writes_for_a_while(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LONG", -1.0)
    assert not await gives_way(store, entry(2))
    assert await gives_way(store, entry(3))
    assert await gives_way(store, entry(4))
    store._slow_until = 0.0
    assert not await gives_way(store, entry(5))


async def test_when_one_thread_falls_due_all_that_were_written_to_are_touched(store: SqliteStore) -> None:
    assert store._connection is not None
    store._connection.execute("UPDATE threads SET written = 0")
    assert not await gives_way(store, entry(2))
    assert await store.idle_for(1e9, lasting=True) == [KEY]
    await store.commit([OTHER, Appended(OTHER.key, 1, "operations", b"[]")])
    assert await store.idle_for(1e9, lasting=True) == []


async def test_a_write_that_fails_on_the_event_loop_is_undone(store: SqliteStore) -> None:
    assert store._connection is not None
    store._connection.execute("CREATE TRIGGER full BEFORE INSERT ON latest BEGIN SELECT raise(ABORT, 'no room'); END")
    with pytest.raises(ChangeRefused, match="no room"):
        await gives_way(store, entry(2))
    store._connection.execute("DROP TRIGGER full")
    assert await revisions(store) == [1]
    await store.commit([entry(2)])
    assert await revisions(store) == [1, 2]
