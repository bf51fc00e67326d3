"""Where the SQLite store keeps entries: whatever is taken when, they are all there, in their order, and once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.stores import Created, Key, SqliteStore
from statecast.stores.log import Kind
from statecast.stores.sqlite import entries as table
from statecast.stores.sqlite.database import MIGRATIONS
from statecast.stores.sqlite.entries import MOST, WaitingEntries
from tests.stores.small_store import LITTLE

ROWS = range(1, 6)

_Entries = list[tuple[int, Kind, bytes]]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = made()
    yield connection
    connection.close()


def made() -> sqlite3.Connection:
    """Return a file, in memory, with threads and no entries."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        connection.executescript(script)
    for row in ROWS:
        connection.execute(
            "INSERT INTO threads VALUES (?, '', ?, 'agent', 'epoch', 1, 0, '0', 'null', 0, 0, '')", (row, str(row))
        )
    return connection


def rows_in(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    return count


@pytest.mark.parametrize("limits", [{"MOST": MOST}, LITTLE], ids=["usual", "little"])
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_entries_are_there_once_and_in_order(limits: dict[str, Any], seed: int, commits: int) -> None:
    random = Random(seed)
    connection = made()
    waiting = WaitingEntries()
    held: dict[int, _Entries] = {row: [] for row in ROWS}
    last, snapshots = dict.fromkeys(ROWS, 0), dict.fromkeys(ROWS, 0)
    with patch.multiple("statecast.stores.sqlite.entries", **limits):
        for _ in range(commits):
            for _ in range(random.choice([0, 1, 3, 10])):
                row = random.choice(ROWS)
                if row in held and random.random() < 0.9:
                    last[row] += 1
                    data = random.randbytes(random.choice([0, 10, 10, 10, 900]))
                    waiting.add(row, last[row], "operations", data)
                    held[row].append((last[row], "operations", data))
                elif row in held and random.random() < 0.8:
                    at = snapshots[row] = random.randint(max(snapshots[row], last[row] - 3), last[row])
                    waiting.forget(row, at)
                    table.delete(connection, row, at)
                    held[row] = [entry for entry in held[row] if entry[0] > at]
                else:
                    waiting.forget(row)
                    table.delete(connection, row)
                    held.pop(row, None)
            before = {row: waiting.of(row) for row in ROWS}
            taken = waiting.take(random.sample(ROWS, random.choice([0, 0, 1, 2])))
            assert not waiting.due
            table.write(connection, taken)
            table.write(connection, taken)  # once more, as after a commit of which nobody knows
            expected = {row: held.get(row, []) for row in ROWS}
            for seen in (before, {row: waiting.of(row) for row in ROWS}):
                after = {row: table.entries_after(connection, row, snapshots[row], seen[row]) for row in ROWS}
                assert after == expected
        table.write(connection, waiting.take_all())
        assert {row: table.entries_after(connection, row, snapshots[row]) for row in ROWS} == expected
        assert waiting.size == 0
    connection.close()


def test_of_many_entries_those_that_waited_longest_are_taken() -> None:
    waiting = WaitingEntries()
    with patch.multiple("statecast.stores.sqlite.entries", **LITTLE):
        for revision in range(1, 4):
            for row in (2, 1, 4, 3):
                waiting.add(row, revision, "operations", b"x")
            assert not waiting.due
        waiting.add(5, 1, "operations", b"x")
        assert waiting.due
        assert [row for row, _ in waiting.take([])] == [2, 1]
    assert waiting.of(2) == []
    assert len(waiting.of(3)) == 3


def test_what_is_taken_is_compressed(connection: sqlite3.Connection) -> None:
    entries: _Entries = [
        (revision, "operations", b'[{"type":"append-text","path":["text"],"value":"%d"}]' % revision)
        for revision in range(1, 1_000)
    ]
    table.write(connection, [(1, entries)])
    assert rows_in(connection) == 1
    (size,) = connection.execute("SELECT length(data) FROM entries").fetchone()
    assert 0 < size < sum(len(data) for _, _, data in entries) / 4
    assert table.entries_after(connection, 1, 0) == entries
    assert table.entries_after(connection, 1, 990) == entries[990:]


def test_what_follows_ends_at_the_first_gap(connection: sqlite3.Connection) -> None:
    table.write(connection, [(1, [(1, "operations", b"1"), (2, "operations", b"2")])])
    connection.execute("UPDATE threads SET revision = 4 WHERE row = 2")
    found: dict[int, _Entries] = {
        1: [(revision, "chunk", b"") for revision in (1, 2, 3, 4, 6, 7)],
        2: [(revision, "chunk", b"") for revision in (3, 4, 5)],
        3: [(revision, "chunk", b"") for revision in (2, 3)],
        99: [(1, "chunk", b"")],  # of no thread
    }
    follow = {row: [revision for revision, _, _ in entries] for row, entries in table.following(connection, found)}
    assert follow == {1: [3, 4], 2: [5]}


@pytest.mark.anyio
@pytest.mark.parametrize("damaged", [False, True])
async def test_entries_of_the_table_that_earlier_versions_had_are_all_moved(
    tmp_path: Path, damaged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path, key = tmp_path / "threads.db", Key(None, "t")
    store = SqliteStore(path)
    await store.open()
    await store.commit([Created(key, "agent", "epoch", True, b"0")])
    await store.aclose()
    connection = sqlite3.connect(path)
    connection.execute(MIGRATIONS[1])
    connection.execute("INSERT INTO entries VALUES (1, 1, 'operations', x'31')")
    for revision in range(1, 5):
        data = msgspec.msgpack.encode([(1, revision, "operations", b"%d" % revision)])
        connection.execute("INSERT INTO latest VALUES (?, ?)", (revision, data))
    if damaged:
        connection.execute("UPDATE latest SET data = x'93ff00' WHERE place = 3")
    connection.execute("PRAGMA user_version = 7")
    connection.commit()
    connection.close()

    await store.open()
    saved = await store.load(key)
    assert saved is not None
    assert [entry for _, _, entry in saved.entries] == [b"1", b"2", b"3", b"4"][: 2 if damaged else 4]
    assert ("1 of its latest commits cannot be read" in caplog.text) == damaged
    await store.aclose()
