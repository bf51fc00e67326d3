"""What becomes of segments that are cut off, damaged, left over, of another database, or without one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from statecast.stores import Appended, Created, Key, SqliteStore
from statecast.stores.sqlite.maintenance import back_up, damage_in
from tests.stores.model import Held, after, holds, script, shown

pytestmark = pytest.mark.anyio

COMMITS = 60
BATCHES = script(7, COMMITS)
KEY = Key(None, "one")


def expected() -> Sequence[Held]:
    """Return what is held after each number of commits."""
    held: list[Held] = [{}]
    for batch in BATCHES:
        held.append(after(held[-1], batch))
    return [shown(one) for one in held]


def killed(path: Path, folder: Path) -> Path:
    """Copy a store's files as they are: what a process leaves that is killed now."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder / file.name)
    return folder / path.name


def segments(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}-segment-*"), key=lambda file: int(file.name.rpartition("-")[2]))


def damaged(path: Path) -> list[str]:
    """Return what a check finds in segments; the records of a script are none that an engine writes."""
    return [line for line in damage_in(path, id) if "-segment-" in line]


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path, patience=0.05)
    await store.open()
    return store


async def held_by(path: Path) -> Held:
    """Return what a store holds, with the epochs as they were before the crash; it is stopped cleanly."""
    store = await opened(path)
    held = await holds(store)
    await store.aclose()
    assert not segments(path)
    return {key: (replace(saved, epoch=saved.epoch.partition(".")[0]), runs) for key, (saved, runs) in held.items()}


async def left(folder: Path, *, commits: int = COMMITS) -> Path:
    """Return what a process leaves that is killed after some commits, all of which are in one segment."""
    store = await opened(folder / "threads.db")
    for batch in BATCHES[:commits]:
        await store.commit(batch)
    path = killed(store.path, folder / "left")
    await store.aclose()
    return path


async def test_a_segment_that_is_cut_off_anywhere_holds_the_commits_up_to_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = expected()
    path = await left(tmp_path)
    (segment,) = segments(path)
    whole = segment.read_bytes()
    found: list[int] = []
    for end in [0, 1, 39, 40, 41, *sorted(Random(1).sample(range(42, len(whole)), 40)), len(whole)]:
        cut = killed(path, tmp_path / f"cut{end}")
        segments(cut)[0].write_bytes(whole[:end])
        held = await held_by(cut)
        found.append(max(number for number, one in enumerate(states) if one == held))
    assert found == sorted(found)
    assert found[-1] == COMMITS
    assert len(set(found)) > 20
    assert not caplog.records, "a write that was cut off by a crash is no damage"


@pytest.mark.parametrize("seed", range(20))
async def test_a_bit_that_is_flipped_costs_what_follows_it(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    states = expected()
    path = await left(tmp_path)
    (segment,) = segments(path)
    data = bytearray(segment.read_bytes())
    at = Random(seed).randrange(40, len(data))
    data[at] ^= 1 << seed % 8
    segment.write_bytes(data)
    damage = damaged(path)
    store = await opened(path)
    held = await holds(store)
    await store.aclose()
    plain = {key: (replace(saved, epoch=saved.epoch.partition(".")[0]), runs) for key, (saved, runs) in held.items()}
    assert plain in states[:-1], at
    assert all("." in saved.epoch for saved, _ in held.values()), "something is lost, so cursors are of another epoch"
    # A length that is damaged may look like a last commit that was cut off.
    assert bool(damage) == bool(caplog.records), damage
    assert not damaged(path)


async def test_a_segment_without_its_database_is_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = await left(tmp_path)
    (segment,) = segments(path)
    before = segment.read_bytes()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    for number in range(2):
        store = await opened(path)
        assert await holds(store) == {}
        await store.commit([Created(Key(None, f"new{number}"), "agent", "epoch", True, b"{}")])
        await store.aclose()
        assert segment.read_bytes() == before
    assert "belongs to another database" in caplog.text


async def test_a_segment_of_another_database_is_not_taken_for_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = await left(tmp_path / "one"), await left(tmp_path / "two", commits=3)
    shutil.copy(segments(one)[0], segments(two)[0])
    store = await opened(two)
    assert not any(saved.entries for saved, _ in (await holds(store)).values()), "they were only in its own segment"
    await store.aclose()
    assert segments(two)[0].read_bytes() == segments(one)[0].read_bytes()
    assert "belongs to another database" in caplog.text


async def test_a_segment_that_comes_back_changes_nothing(tmp_path: Path) -> None:
    path = await left(tmp_path)
    (segment,) = segments(path)
    again = segment.read_bytes()
    store = await opened(path)  # which brings in what was left, and deletes the segment
    held = await holds(store)
    await store.commit([Appended(KEY, last_of(held, KEY) + 1, "operations", b"[]")])
    held = await holds(store)
    path = killed(path, tmp_path / "again")
    await store.aclose()
    segment = path.with_name(segment.name)
    segment.write_bytes(again)
    store = await opened(path)
    now = await holds(store)
    assert {key: saved.entries for key, (saved, _) in now.items()} == {key: s.entries for key, (s, _) in held.items()}
    assert not segment.exists()
    await store.aclose()


def last_of(held: Held, key: Key) -> int:
    saved, _ = held[key]
    return saved.entries[-1][0] if saved.entries else saved.revision


@pytest.mark.parametrize("linked", [False, True], ids=["by its name", "by a link"])
async def test_a_copy_of_a_store_in_use_has_what_only_a_segment_holds(tmp_path: Path, linked: bool) -> None:
    store = await opened(tmp_path / "threads.db")
    for batch in BATCHES:
        await store.commit(batch)
    path = tmp_path / "elsewhere" / "link.db" if linked else store.path
    if linked:
        path.parent.mkdir()
        path.symlink_to(store.path)
    assert segments(store.path)
    assert not damaged(path)
    back_up(path, tmp_path / "copy.db")
    await store.commit([Created(Key(None, "later"), "agent", "later", True, b"{}")])
    shutil.copy(tmp_path / "copy.db", tmp_path / "backup.db")
    left_there = killed(store.path, tmp_path / "left")
    await store.aclose()
    assert await held_by(tmp_path / "copy.db") == expected()[-1]

    # Restored where the store was killed, whose segments do not belong to it.
    for suffix in ("-wal", "-shm"):
        Path(f"{left_there}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", left_there)
    restored = await opened(left_there)
    assert await restored.load(Key(None, "later")) is None
    assert {key: saved.entries for key, (saved, _) in (await holds(restored)).items()} == {
        key: saved.entries for key, (saved, _) in expected()[-1].items()
    }
    await restored.aclose()
