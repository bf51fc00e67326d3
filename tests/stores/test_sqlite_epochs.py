"""The epochs of a file's threads: the same after a clean stop, and others where the end of a log may be lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from statecast.stores import Appended, Created, Key, SqliteStore

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")


async def opened(path: Path, *, durable: bool = False) -> SqliteStore:
    store = SqliteStore(path, patience=0.05, durable=durable)
    await store.open()
    return store


async def epoch_in(store: SqliteStore, key: Key = KEY) -> str:
    saved = await store.load(key)
    assert saved is not None
    return saved.epoch


async def epoch_of(path: Path) -> str:
    """Return the epoch of the thread in a file, which is stopped cleanly afterwards."""
    store = await opened(path)
    epoch = await epoch_in(store)
    await store.aclose()
    return epoch


async def stopped(folder: Path) -> Path:
    """Return a file that was stopped cleanly."""
    path = folder / "threads.db"
    store = await opened(path)
    await store.commit([Created(KEY, "agent", "epoch", True, b"0"), Appended(KEY, 1, "operations", b"[]")])
    await store.aclose()
    return path


def copied(path: Path, folder: Path) -> Path:
    """Copy a file and everything beside it, with the times of its changes as far as programs can set them."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy2(file, folder / file.name)
    return folder / path.name


def restored(path: Path) -> None:
    """Copy a file back over itself."""
    backup = path.with_name("backup")
    shutil.copy2(path, backup)
    shutil.copy2(backup, path)


def written_to(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE threads SET agent = 'other'")
    connection.commit()
    connection.close()


def read(path: Path) -> None:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.execute("SELECT * FROM threads").fetchall()
    connection.close()


def unmarked(path: Path) -> None:
    os.unlink(f"{path}-stopped")


def cut_off(path: Path) -> None:
    os.truncate(f"{path}-stopped", 5)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_thread_keeps_its_epoch_from_one_clean_stop_to_the_next(tmp_path: Path, durable: bool) -> None:
    path = await stopped(tmp_path)
    for number in range(2, 5):
        store = await opened(path, durable=durable)
        assert await epoch_in(store) == "epoch"
        await store.commit([Appended(KEY, number, "operations", b"[]")])
        await store.aclose()


async def test_a_program_that_only_reads_a_file_leaves_its_epochs(tmp_path: Path) -> None:
    path = await stopped(tmp_path)
    read(path)
    assert await epoch_of(path) == "epoch"


@pytest.mark.parametrize("happens", [restored, written_to, unmarked, cut_off])
async def test_a_file_that_is_not_as_it_was_left_begins_new_epochs(
    tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    path = await stopped(tmp_path)
    happens(path)
    later = await epoch_of(path)
    assert later.startswith("epoch.")
    assert await epoch_of(path) == later  # the stop in between was clean


async def test_a_copy_begins_new_epochs_and_the_file_itself_does_not(tmp_path: Path) -> None:
    path = await stopped(tmp_path)
    copies = [copied(path, tmp_path / name) for name in ("one", "two")]
    epochs = [await epoch_of(copy) for copy in copies]
    assert len({*epochs, await epoch_of(path)}) == 3


@pytest.mark.parametrize("durable", [False, True])
async def test_a_file_that_was_not_stopped_begins_new_epochs_each_time(tmp_path: Path, durable: bool) -> None:
    path = await stopped(tmp_path)
    epochs = ["epoch"]
    for number in range(3):
        store = await opened(path, durable=durable)
        path = copied(path, tmp_path / str(number))  # what a process leaves that is killed now
        epochs.append(await epoch_in(store))
        await store.aclose()
    assert len(set(epochs)) == len(epochs) - 1  # the first of these was stopped before
    assert all(epoch == "epoch" or epoch.count(".") == 1 for epoch in epochs)


async def test_a_segment_that_is_cut_off_anywhere_begins_new_epochs(tmp_path: Path) -> None:
    path = await stopped(tmp_path)
    store = await opened(path)
    for number in range(2, 12):
        await store.commit([Appended(KEY, number, "operations", b"[]" * 300)])
    whole = copied(path, tmp_path / "whole")
    await store.aclose()
    size = os.path.getsize(f"{whole}-segment-1")
    seen = {"epoch"}
    for end in [*range(0, size, size // 20), size]:
        cut = copied(whole, tmp_path / f"cut{end}")
        os.truncate(f"{cut}-segment-1", end)
        epoch = await epoch_of(cut)
        assert epoch not in seen
        seen.add(epoch)


async def test_a_thread_made_since_the_loss_has_the_epoch_it_was_made_with(tmp_path: Path) -> None:
    path = await stopped(tmp_path)
    unmarked(path)
    store = await opened(path)
    new = Key(None, "new")
    await store.commit([Created(new, "agent", "fresh", True, b"0")])
    assert await epoch_in(store, new) == "fresh"
    await store.aclose()
    store = await opened(path)
    assert await epoch_in(store, new) == "fresh"
    await store.aclose()
    unmarked(path)
    store = await opened(path)
    assert (await epoch_in(store, new)).startswith("fresh.")
    await store.aclose()


async def test_a_store_that_another_program_reads_while_it_stops_begins_new_epochs(tmp_path: Path) -> None:
    """What is in the log then stays there, where it could be cut off."""
    path = await stopped(tmp_path)
    store = await opened(path)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM threads").fetchall()
    await store.commit([Appended(KEY, 2, "operations", b"[]")])
    await store.aclose()
    reader.close()
    assert (await epoch_of(path)).startswith("epoch.")
