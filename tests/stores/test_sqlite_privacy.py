"""Who may read the files of the SQLite store, and when what was deleted has left them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from statecast.stores import (
    Appended,
    BatchAccepted,
    BatchApplied,
    Change,
    Compacted,
    Created,
    Deleted,
    Key,
    RecordErased,
    RecordWritten,
    SavedThread,
    SqliteStore,
    SummaryChanged,
)
from statecast.stores.sqlite import store as limits

pytestmark = pytest.mark.anyio

KEY, OTHER = Key(None, "secret"), Key(None, "other")
WORDS = b"very-private-words"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.db"


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path, patience=0.05)
    await store.open()
    return store


def left_in(path: Path) -> dict[str, int]:
    """Return how often the words are in each file of a store; a segment may be deleted meanwhile."""
    found: dict[str, int] = {}
    for file in path.parent.glob(f"{path.name}*"):
        with suppress(FileNotFoundError):
            found[file.name] = file.read_bytes().count(WORDS)
    return found


def modes_of(folder: Path) -> dict[str, int]:
    """Return the permissions of each file; a segment may be deleted meanwhile."""
    found: dict[str, int] = {}
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            found[file.name] = stat.S_IMODE(file.stat().st_mode)
    return found


def private() -> list[Change]:
    """Return changes that leave the words everywhere."""
    state = b'{"said":"%s"}' % (WORDS * 1_000)
    return [
        Created(KEY, "agent", "e", True, state),
        Created(OTHER, "agent", "e", True, b"{}"),
        *(Appended(KEY, number, "operations", WORDS * (1 + number % 900)) for number in range(1, 100)),
        Appended(OTHER, 1, "operations", b"[]"),
        BatchAccepted(KEY, "run", WORDS),
        BatchApplied(KEY, WORDS.decode(), WORDS, "run"),
        Compacted(KEY, 50, state, WORDS),
        SummaryChanged(key=KEY, at=1.0, title=WORDS.decode(), custom=b'"%s"' % WORDS),
        RecordWritten(KEY, "message", "m", WORDS * 2_000),
        RecordWritten(OTHER, "message", "m", WORDS),
        RecordWritten(OTHER, "message", "m", b"changed"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_the_files_are_for_their_owner_alone(path: Path, mask: int) -> None:
    path.touch(0o666)
    with umask(mask):
        store = await opened(path)
        await store.commit([Created(KEY, "agent", "e", True, b"{}")])
        names = modes_of(path.parent)
        await store.aclose()
        names |= modes_of(path.parent)
    assert set(names) == {path.name + suffix for suffix in ("", "-wal", "-shm", "-lock", "-segment-1", "-stopped")}
    assert set(names.values()) == {0o600}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def test_what_was_deleted_is_in_no_file_after_a_clean_stop(path: Path) -> None:
    store = await opened(path)
    await store.commit(private())
    assert sum(left_in(path).values()) > 100
    await store.commit([Deleted(KEY), RecordErased(OTHER, "message", "m")])
    await store.aclose()
    assert not any(left_in(path).values())


async def test_what_was_deleted_soon_leaves_the_files_of_a_store_that_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GONE_AFTER", 0.01)
    store = await opened(path)
    await store.commit(private())
    await store.commit([Deleted(KEY)])
    await store.commit([Appended(OTHER, 2, "operations", b"[]")])
    async with asyncio.timeout(30):
        while any(left_in(path).values()):  # noqa: ASYNC110  # the file system tells nobody
            await asyncio.sleep(0.01)
    assert [revision for revision, *_ in (await loaded(store, OTHER)).entries] == [1, 2]
    await store.aclose()


async def test_what_was_deleted_leaves_the_files_once_no_other_program_reads_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GONE_AFTER", 0.01)
    store = await opened(path)
    await store.commit(private())
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM threads").fetchall()
    await store.commit([Deleted(KEY)])
    tries = 0
    assert store._database is not None
    checkpoint = store._database.checkpoint

    def counting() -> bool:
        nonlocal tries
        tries += 1
        return checkpoint()

    monkeypatch.setattr(store._database, "checkpoint", counting)
    async with asyncio.timeout(30):
        while tries < 3:  # noqa: ASYNC110  # another thread counts
            await asyncio.sleep(0.01)
    assert any(left_in(path).values())
    reader.close()
    async with asyncio.timeout(30):
        while any(left_in(path).values()):  # noqa: ASYNC110  # the file system tells nobody
            await asyncio.sleep(0.01)
    await store.aclose()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield WORDS * 5_000


async def test_a_file_that_is_dropped_leaves_the_store(path: Path) -> None:
    store = await opened(path)
    await store.write_file("a", "text/plain", None, pieces())
    await store.delete_file("a")
    await store.aclose()
    assert not any(left_in(path).values())


async def loaded(store: SqliteStore, key: Key) -> SavedThread:
    saved = await store.load(key)
    assert saved is not None
    return saved
