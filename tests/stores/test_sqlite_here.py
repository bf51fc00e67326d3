"""Commits are appended on the event loop, where nothing has to be waited for."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statecast.stores import (
    MEMORY,
    Appended,
    BatchAccepted,
    BatchSettled,
    Change,
    ChangeRefused,
    Compacted,
    Created,
    Deleted,
    Key,
    Moved,
    RecordWritten,
    SqliteStore,
    SummaryChanged,
)
from statecast.stores.sqlite import store as limits

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
OTHER = Created(Key(None, "other"), "agent", "e", True, b"0")
UNKNOWN = Key(None, "unknown")


def entry(revision: int, *, open: bool | None = None, data: bytes = b"[]", key: Key = KEY) -> Appended:
    return Appended(key, revision, "operations", data, open)


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


async def test_entries_are_written_at_once(store: SqliteStore, tmp_path: Path) -> None:
    assert store.append_nowait([entry(2), entry(3)])
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
        [entry(2, open=True), BatchAccepted(KEY, "r", b"")],
        [BatchSettled(KEY, "r"), entry(2, open=False)],
        [Compacted(KEY, 1, b"{}", b"null")],
        [Deleted(KEY), Created(KEY, "agent", "e", True, b"0"), entry(1)],
        [Deleted(UNKNOWN)],
        [SummaryChanged(key=UNKNOWN, at=1.0)],
        [RecordWritten(KEY, MEMORY, "1", b"1")],
    ],
    ids=lambda changes: type(changes[0]).__name__,
)
async def test_whatever_fits_what_is_known_is_written_at_once(store: SqliteStore, changes: list[Change]) -> None:
    assert store.append_nowait(changes)


async def test_a_thread_that_was_looked_for_is_made_at_once(store: SqliteStore) -> None:
    assert not store.append_nowait([OTHER])
    assert await store.load(OTHER.key) is None
    assert store.append_nowait([OTHER, entry(1, key=OTHER.key)])
    assert not store.append_nowait([OTHER])
    with pytest.raises(ChangeRefused, match="already"):
        await store.commit([OTHER])
    saved = await store.load(OTHER.key)
    assert saved is not None
    assert len(saved.entries) == 1


@pytest.mark.parametrize(
    "changes",
    [
        [OTHER],
        [Moved(KEY, "ann")],
        [entry(2, data=bytes(limits.HERE_BYTES + 1))],
        [entry(revision) for revision in range(2, limits.HERE + 3)],
        [entry(1, key=UNKNOWN)],
    ],
    ids=["a thread nobody looked for", "a move", "much", "many", "an unknown thread"],
)
async def test_what_has_to_be_waited_for_gives_way(store: SqliteStore, changes: list[Change]) -> None:
    assert not store.append_nowait(changes)
    try:
        assert await gives_way(store, *changes)
    except ChangeRefused:
        assert changes[0].key == UNKNOWN


async def test_a_commit_waits_for_those_before(store: SqliteStore) -> None:
    first = asyncio.create_task(store.commit([OTHER, entry(2)]))
    await asyncio.sleep(0)
    assert not store.append_nowait([entry(3)])
    assert await gives_way(store, entry(3))
    assert first.done()
    assert await revisions(store) == [1, 2, 3]


async def test_a_commit_that_is_given_up_while_it_is_appended_is_there(store: SqliteStore) -> None:
    large = entry(2, data=bytes(limits.HERE_BYTES + 1))
    first = asyncio.create_task(store.commit([large]))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    assert store.append_nowait([entry(3)])
    assert await revisions(store) == [1, 2, 3]


async def test_a_commit_that_is_given_up_and_fails_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was cancelled must not go on, and try again."""
    store = SqliteStore(tmp_path / "durable.db", durable=True)
    await store.open()
    begun, go_on = threading.Event(), threading.Event()

    def fail(file: int) -> None:
        begun.set()
        go_on.wait(10)
        raise OSError(errno.EIO, "it does not work")

    with monkeypatch.context() as patch:
        patch.setattr("statecast.stores.sqlite.segment._sync", fail)
        commit = asyncio.create_task(store.commit([OTHER]))
        await asyncio.to_thread(begun.wait, 10)
        commit.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait({commit})
    assert commit.cancelled()
    await store.commit([OTHER])
    await store.aclose()


async def test_threads_that_were_looked_for_may_be_forgotten_before_they_are_made(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statecast.stores.sqlite.backlog.ABSENT", 2)
    for name in ("1", "2", "other"):
        assert await store.load(Key(None, name)) is None
    await store.commit([OTHER, Created(UNKNOWN, "agent", "e", True, b"0")])
    assert await store.load(OTHER.key) is not None
    assert await store.load(UNKNOWN) is not None


async def test_a_store_that_syncs_each_commit_always_gives_way(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "durable.db", durable=True)
    await store.open()
    assert await gives_way(store, Created(KEY, "agent", "e", True, b"0"), entry(1))
    assert not store.append_nowait([entry(2)])
    assert await gives_way(store, entry(2))
    await store.aclose()


async def test_after_a_write_that_took_long_a_thread_writes_for_a_while(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LONG", -1.0)
    assert store.append_nowait([entry(2)])
    assert not store.append_nowait([entry(3)])
    assert await gives_way(store, entry(3))
    store._slow_until = 0.0
    assert store.append_nowait([entry(4)])
    assert await revisions(store) == [1, 2, 3, 4]


async def test_when_one_thread_falls_due_all_that_were_written_to_are_touched(store: SqliteStore) -> None:
    assert store._database is not None
    await store.idle_for(0, lasting=True)
    store._database.connection.execute("UPDATE threads SET written = 0")
    assert store.append_nowait([entry(2)])
    assert await store.idle_for(1e9, lasting=True) == [KEY]
    await store.commit([OTHER, entry(1, key=OTHER.key)])
    assert await store.idle_for(1e9, lasting=True) == [KEY]
    store._database.writing._touched.clear()
    await store.commit([entry(2, key=OTHER.key)])
    assert await store.idle_for(1e9, lasting=True) == []
