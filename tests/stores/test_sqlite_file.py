"""The file of the SQLite store: whose it is, what is in it, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from statecast.stores import (
    Appended,
    Compacted,
    Created,
    Damaged,
    File,
    Key,
    SavedThread,
    SqliteStore,
    StoreUnavailable,
    store_of,
)
from statecast.stores.log import Kind
from statecast.stores.sqlite import opened as opened_database
from statecast.stores.sqlite import store as limits
from statecast.stores.sqlite.database import MIGRATIONS
from tests.stores.full_disk import full_disk

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
KEY = Key(None, "t")
CREATED = Created(KEY, "agent", "epoch", True, b"0")
posix = pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be deleted there")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.db"


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path, patience=0.05)
    await store.open()
    return store


async def made(path: Path) -> None:
    """Make a file with one thread."""
    store = await opened(path)
    await store.commit([CREATED])
    await store.aclose()


def changed(path: Path, *statements: str) -> None:
    """Change a file behind the store's back."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_a_second_store_is_refused_and_does_the_first_no_harm(path: Path) -> None:
    first = await opened(path)
    await first.commit([CREATED])
    for number in range(3):
        with pytest.raises(StoreUnavailable, match=r"expected .*threads\.db to be free, but another process has it"):
            await opened(path)
        await first.commit([Appended(KEY, 1, "operations", b"1")] if number == 0 else [])
    saved = await first.load(KEY)
    assert saved is not None
    assert len(saved.entries) == 1
    await first.aclose()
    await (await opened(path)).aclose()


async def test_a_second_process_is_refused(path: Path) -> None:
    first = await opened(path)
    await first.commit([CREATED])
    code = (
        "import asyncio, sys; from statecast.stores import *\n"
        "try: asyncio.run(SqliteStore(sys.argv[1], patience=0.05).open())\n"
        "except StoreUnavailable as error: print(error)"
    )
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    command = [sys.executable, "-c", code, str(path)]
    environment = {**os.environ, "PYTHONPATH": paths}
    second = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert (second.returncode, second.stderr) == (0, "")
    assert "another process has it open" in second.stdout
    await first.commit([Appended(KEY, 1, "operations", b"1")])
    await first.aclose()


async def test_a_store_waits_for_the_file_that_its_predecessor_is_about_to_close(path: Path) -> None:
    first = await opened(path)
    second = SqliteStore(path, patience=30)
    opening = asyncio.create_task(second.open())
    await first.commit([CREATED])
    await first.aclose()
    await opening
    assert await second.load(KEY) is not None
    await second.aclose()


@pytest.mark.parametrize("content", [b"hello", b"x" * 5_000, b"SQLite format 3\x00" + b"\xff" * 5_000])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"threads\.db"):
        await opened(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "why"), [("missing/threads.db", "needs the folder .*missing, which is missing"), (".", "unable to open")]
)
async def test_a_path_where_no_file_can_be_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(StoreUnavailable, match=why):
        await opened(tmp_path / name)


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    await made(path)
    changed(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "ALTER TABLE threads ADD COLUMN mood TEXT")
    before = path.read_bytes()
    expected = f"at most schema {len(MIGRATIONS)}, got {len(MIGRATIONS) + 1}, of a newer version"
    with pytest.raises(StoreUnavailable, match=expected):
        await opened(path)
    assert path.read_bytes() == before

    changed(path, f"PRAGMA user_version = {len(MIGRATIONS)}")
    store = await opened(path)
    assert await store.load(KEY) is not None
    await store.aclose()


async def test_an_empty_file_gets_the_schema(path: Path) -> None:
    path.touch()
    await made(path)
    store = await opened(path)
    assert await store.load(KEY) is not None
    await store.aclose()


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_files_of_every_earlier_version_are_brought_up_to_date(path: Path, version: int) -> None:
    statements = [part for script in MIGRATIONS[:version] for part in script.split(";") if part.strip()]
    changed(path, *statements, f"PRAGMA user_version = {version}")
    await made(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


#: What the first version wrote.
VERSION_1 = (
    "INSERT INTO threads VALUES (1, '', 't', 'agent', 'e1', 1, 2, X'7B7D', X'6E756C6C', 0, 1e9)",
    "INSERT INTO threads VALUES (3, '=ann', 't', 'mine', 'e2', 0, 0, X'7B2261223A22C3A4227D', 'null', 1, 2e9)",
    "INSERT INTO entries VALUES (1, 3, 'operations', X'5B335D')",
    "INSERT INTO entries VALUES (3, 1, 'run', X'7B7D')",
    "INSERT INTO entries VALUES (3, 2, 'chunk', X'0001020304')",
    "INSERT INTO inbox VALUES (1, 1, 'r2', X'6261746368')",
    "INSERT INTO applied VALUES (1, 'c1', X'00FF', 'r1')",
)


async def test_what_the_first_version_kept_is_all_there_and_goes_on(path: Path) -> None:
    schema = [part for part in MIGRATIONS[0].split(";") if part.strip()]
    changed(path, *schema, *VERSION_1, "PRAGMA user_version = 1")
    ann = Key("ann", "t")
    entries: list[tuple[int, Kind, bytes]] = [(1, "run", b"{}"), (2, "chunk", bytes(range(5)))]
    one = SavedThread(
        key=KEY,
        agent="agent",
        epoch="e1",
        lasting=True,
        revision=2,
        state=b"{}",
        run=b"null",
        entries=[(3, "operations", b"[3]")],
        inbox=[("r2", b"batch")],
        applied={"c1": (b"\x00\xff", "r1")},
        memory=[],
    )
    store = await opened(path)
    found = await store.load(KEY)
    assert found is not None
    assert found.epoch.startswith("e1.")  # nothing says how it was left
    one = replace(one, epoch=found.epoch)
    assert found == one
    two = await store.load(ann)
    assert two is not None
    assert (two.state, two.run, two.entries) == ('{"a":"ä"}'.encode(), b"null", entries)
    assert set(await store.unfinished()) == {KEY, ann}
    assert await store.idle_for(time.time() - 1.5e9, lasting=True) == [KEY]

    more = [Appended(KEY, revision, "operations", b"[%d]" % revision) for revision in range(4, 2_000)]
    for change in more:
        await store.commit([change])
    await store.commit([Compacted(ann, 1, b"1", b"null")])
    for _ in range(2):
        again = await store.load(KEY)
        assert again == replace(one, entries=[*one.entries, *((each.revision, each.kind, each.data) for each in more)])
        two = await store.load(ann)
        assert two is not None
        assert two.entries == entries[1:]
        await store.aclose()
        store = await opened(path)
    await store.aclose()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    changed(path, "CREATE TABLE inbox (mine TEXT)", "INSERT INTO inbox VALUES ('precious')")
    with pytest.raises(StoreUnavailable, match="table inbox already exists"):
        await opened(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("inbox",)]
    assert connection.execute("SELECT mine FROM inbox").fetchall() == [("precious",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


@posix
@pytest.mark.parametrize("suffix", ["", "-wal", "-segment-1"])
async def test_a_file_that_is_gone_takes_no_commit_until_it_is_back(
    path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_database, "LOOK_EVERY", 0.0)
    store = await opened(path)
    await store.commit([CREATED])
    file = Path(f"{path}{suffix}")
    away = path.with_name("away")
    file.rename(away)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=f"{file.name} was deleted or replaced"):
            await store.commit([Appended(KEY, 1, "operations", b"1")])
    file.write_bytes(b"another one")
    with pytest.raises(StoreUnavailable, match="deleted or replaced"):
        await store.commit([Appended(KEY, 1, "operations", b"1")])
    away.replace(file)
    await store.commit([Appended(KEY, 1, "operations", b"1")])
    await store.aclose()

    store = await opened(path)
    saved = await store.load(KEY)
    assert saved is not None
    assert len(saved.entries) == 1
    await store.aclose()


async def test_a_full_disk_takes_no_commit_until_there_is_room(path: Path) -> None:
    store = await opened(path)
    await store.commit([CREATED])
    batch = [Appended(KEY, number, "operations", bytes(4_000)) for number in range(1, 9)]
    with full_disk(after=5_000):
        for _ in range(2):
            assert not store.append_nowait(batch)
            with pytest.raises(StoreUnavailable, match="No space left"):
                await store.commit(batch)
            assert await revisions(store) == []
    assert store.append_nowait(batch)
    assert await revisions(store) == [*range(1, 9)]
    await store.aclose()
    store = await opened(path)
    assert await revisions(store) == [*range(1, 9)]
    await store.aclose()


async def test_a_database_that_cannot_be_written_to_bounds_what_waits_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BEHIND", 50_000)
    monkeypatch.setattr("statecast.stores.sqlite.entries.MOST_BYTES", 10_000)
    monkeypatch.setattr("statecast.stores.sqlite.entries.AT_ONCE_BYTES", 5_000)
    store = await opened(path)
    await store.commit([CREATED])
    assert store._database is not None
    assert await revisions(store) == []
    connection = store._database.connection
    connection.execute("PRAGMA query_only = ON")
    written = 0
    while store.append_nowait([Appended(KEY, written + 1, "operations", bytes(1_000))]):
        written += 1
    assert 10 < written < 200
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.commit([Appended(KEY, written + 1, "operations", bytes(1_000))])
    connection.execute("PRAGMA query_only = OFF")
    await store.commit([Appended(KEY, written + 1, "operations", bytes(1_000))])
    assert await revisions(store) == [*range(1, written + 2)]
    await store.aclose()


async def test_entries_that_wait_for_the_database_count_as_what_they_take(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word of a few bytes takes a few hundred in memory."""
    monkeypatch.setattr(limits, "BEHIND", 200_000)
    monkeypatch.setattr(limits, "AGAIN", 0.0)
    monkeypatch.setattr("statecast.stores.sqlite.entries.MOST", 100)
    monkeypatch.setattr("statecast.stores.sqlite.entries.AT_ONCE", 50)
    store = await opened(path)
    await store.commit([CREATED])
    assert await revisions(store) == []
    assert store._database is not None
    store._database.connection.execute("PRAGMA query_only = ON")
    written = 0
    while written < 3_000 and store.append_nowait([Appended(KEY, written + 1, "operations", b"word")]):
        written += 1
        await asyncio.sleep(0)
    assert written < 1_500
    store._database.connection.execute("PRAGMA query_only = OFF")
    assert await revisions(store) == [*range(1, written + 1)]
    await store.aclose()


async def test_a_segment_whose_beginning_has_no_room_is_not_begun(path: Path) -> None:
    store = await opened(path)
    await store.commit([CREATED])
    with full_disk(after=20):
        await store._rotate()
    await store.commit([Appended(KEY, 1, "operations", b"1")])
    left = path.with_name("left")
    left.mkdir()
    for file in path.parent.glob(f"{path.name}*"):  # what a process leaves that is killed now
        shutil.copy(file, left)
    await store.aclose()
    store = await opened(left / path.name)
    assert await revisions(store) == [1]
    await store.aclose()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are not listed here")
async def test_segments_that_cannot_be_deleted_are_not_kept_open(path: Path) -> None:
    store = await opened(path)
    await store.commit([CREATED])
    assert await revisions(store) == []
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM threads").fetchall()
    for revision in range(1, 6):
        await store.commit([Appended(KEY, revision, "operations", b"1")])
        await store._rotate()
    assert len(list(path.parent.glob("*-segment-*"))) == 6
    names = (os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
    assert sum(f"{path.name}-segment-" in name for name in names) == 1
    reader.close()
    await store._rotate()
    assert len(list(path.parent.glob("*-segment-*"))) == 1
    await store.aclose()


def test_a_store_may_be_opened_in_another_event_loop(path: Path) -> None:
    store = SqliteStore(path)

    async def use(name: str) -> None:
        await store.open()
        created = [Created(Key(None, f"{name}{number}"), "agent", "epoch", True, b"0") for number in range(3)]
        await asyncio.gather(*(store.commit([one]) for one in created))  # each waits for the one before
        await store.aclose()

    asyncio.run(use("a"))
    asyncio.run(use("b"))


async def revisions(store: SqliteStore) -> list[int]:
    saved = await store.load(KEY)
    assert saved is not None
    return [revision for revision, _, _ in saved.entries]


async def test_a_store_that_is_not_open_refuses(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.load(KEY)
    await made(path)
    await store.open()
    await store.aclose()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.commit([])


async def test_a_store_that_could_not_be_opened_can_be_later(path: Path) -> None:
    path.write_bytes(b"no database")
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.open()
    path.unlink()
    await store.open()
    await store.commit([CREATED])
    await store.aclose()


async def test_a_commit_that_is_closed_on_is_whole(path: Path) -> None:
    """What was begun is finished: closing waits behind it."""
    store = await opened(path)
    commit = asyncio.create_task(store.commit([CREATED]))
    await asyncio.sleep(0)
    await store.aclose()
    await commit
    store = await opened(path)
    assert await store.load(KEY) is not None
    await store.aclose()


@pytest.mark.parametrize("query", ["", "?durable=true"])
@pytest.mark.parametrize(
    "url", ["", "memory:", "memory?", "sqlite", "sqlite://", "sqlite:///", "sqlite:///a.db?x=1", "mongodb://x", "/a.db"]
)
def test_what_names_no_store_is_refused(url: str, query: str) -> None:
    with pytest.raises(ValueError, match="expected a store such as"):
        store_of(url + query)


@pytest.mark.parametrize("url", ["postgre://ada:hunter2@host/chat", "mysql://ada:hun/ter2@host/chat?pool=2"])
def test_a_url_that_names_no_store_is_shown_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="expected a store such as") as error:
        store_of(url)
    assert "//host/chat" in str(error.value)
    assert "ter2" not in str(error.value)


def test_a_url_names_a_file() -> None:
    for url, path in [("sqlite:///a.db", "a.db"), ("sqlite:////a/b.db", "/a/b.db"), ("sqlite:///a b/c.db", "a b/c.db")]:
        store = store_of(url)
        assert isinstance(store, SqliteStore)
        assert store.path == Path(path)


def test_a_url_says_whether_a_store_waits_for_the_disk() -> None:
    for url, durable in [("sqlite:///a.db?durable=true", True), ("sqlite:///a.db?durable=false", False)]:
        store = store_of(url)
        assert isinstance(store, SqliteStore)
        assert (store.path, store.durable) == (Path("a.db"), durable)
    for url in ("sqlite:///a.db", "sqlite:///a.db?durable=true"):
        store = store_of(url, durable=True)
        assert isinstance(store, SqliteStore)
        assert store.durable
    with pytest.raises(ValueError, match="expected a store in a file"):
        store_of("memory", durable=True)


async def test_threads_of_a_version_without_cards_are_listed(path: Path) -> None:
    statements = [part for script in MIGRATIONS[:2] for part in script.split(";") if part.strip()]
    row = "INSERT INTO threads VALUES ({}, '=ann', '{}', 'agent', 'e', {}, 0, '0', 'null', 0, {})"
    changed(
        path, *statements, row.format(1, "named", 1, 12.5), row.format(2, "thr_1", 0, 13.0), "PRAGMA user_version = 2"
    )

    store = await opened(path)
    (card,) = await store.summaries("ann", limit=10)
    assert (card.key, card.created, card.last, card.title) == (Key("ann", "named"), 12.5, 12.5, None)
    await store.aclose()


async def test_files_of_a_version_that_kept_them_whole_are_read_in_part(path: Path) -> None:
    statements = [part for script in MIGRATIONS[:6] for part in script.split(";") if part.strip()]
    data = bytes(range(256)) * 4_000
    changed(path, *statements, "PRAGMA user_version = 6")
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO files VALUES ('a', 'video/mp4', '=ann', ?)", (data,))
    connection.commit()
    connection.close()

    store = await opened(path)
    assert await store.file("a") == File("a", "video/mp4", "ann", len(data))
    for start, end in [(0, 10), (300_000, 600_001), (len(data) - 1, len(data)), (0, len(data))]:
        assert await store.read_file("a", start, end) == data[start:end]
    await store.delete_file("a")
    assert await store.file("a") is None
    await store.aclose()


async def test_what_was_left_of_an_upload_is_taken_away(path: Path) -> None:
    await made(path)
    changed(path, "INSERT INTO pieces VALUES (7, 0, zeroblob(1000))")
    await made_again(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM pieces").fetchone() == (0,)
    connection.close()


async def found(store: SqliteStore, name: str) -> bytes:
    file = await store.file(name)
    assert file is not None
    return await store.read_file(name, 0, file.size)


async def made_again(path: Path) -> None:
    store = await opened(path)
    await store.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE files SET type = x'00'",
        "UPDATE files SET size = 'many'",
        "UPDATE pieces SET data = 'text'",
        "DELETE FROM pieces",
        "UPDATE pieces SET start = 1",
    ],
)
async def test_a_file_that_is_damaged_costs_no_other(path: Path, statement: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"

    store = await opened(path)
    await store.write_file("bad", "text/plain", None, pieces())
    await store.aclose()
    changed(path, statement)
    store = await opened(path)
    await store.write_file("good", "text/plain", None, pieces())
    with pytest.raises(Damaged):
        await found(store, "bad")
    assert await store.read_file("good", 0, 5) == b"hello"
    await store.delete_file("bad")
    assert await store.file("bad") is None
    await store.aclose()
