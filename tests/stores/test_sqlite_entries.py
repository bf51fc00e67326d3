"""Where the SQLite store keeps entries: whatever is moved when, they are all there, in their order, and once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.stores.log import Kind
from statecast.stores.sqlite.database import MIGRATIONS
from statecast.stores.sqlite.entries import MOST, Entries
from tests.stores.small_store import LITTLE

ROWS = range(1, 6)

_Held = dict[int, list[tuple[int, Kind, bytes]]]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
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


def rows_in(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return count


def held_by(connection: sqlite3.Connection, entries: Entries, snapshots: dict[int, int]) -> _Held:
    return {row: entries.after(connection, row, snapshots[row]) for row in ROWS}


@pytest.mark.parametrize("limits", [{"MOST": MOST}, LITTLE], ids=["usual", "little"])
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_entries_are_there_once_and_in_order(limits: dict[str, Any], seed: int, commits: int) -> None:
    random = Random(seed)
    connection = made()
    entries = Entries.read(connection)
    held: _Held = {row: [] for row in ROWS}
    last, snapshots = dict.fromkeys(ROWS, 0), dict.fromkeys(ROWS, 0)
    with patch.multiple("statecast.stores.sqlite.entries", **limits):
        for _ in range(commits):
            for _ in range(random.choice([0, 1, 3, 10])):
                row = random.choice(ROWS)
                if row in held and random.random() < 0.9:
                    last[row] += random.choice([1, 1, 1, 5])
                    data = random.randbytes(random.choice([0, 10, 10, 10, 900]))
                    entries.add(row, last[row], "operations", data)
                    held[row].append((last[row], "operations", data))
                elif row in held and random.random() < 0.8:
                    at = snapshots[row] = random.randint(max(snapshots[row], last[row] - 3), last[row])
                    entries.forget(connection, row, at)
                    connection.execute("UPDATE threads SET revision = ? WHERE row = ?", (at, row))
                    held[row] = [entry for entry in held[row] if entry[0] > at]
                else:
                    entries.forget(connection, row)
                    connection.execute("DELETE FROM threads WHERE row = ?", (row,))
                    held.pop(row, None)
            entries.write(connection, compress=random.random() < 0.5)
            expected = {row: held.get(row, []) for row in ROWS}
            assert held_by(connection, entries, snapshots) == expected
            again = Entries.read(connection)
            assert held_by(connection, again, snapshots) == expected
            if random.random() < 0.2:
                entries = again
    connection.close()


def test_of_many_entries_those_that_waited_longest_are_moved(connection: sqlite3.Connection) -> None:
    entries = Entries.read(connection)
    with patch.multiple("statecast.stores.sqlite.entries", **LITTLE):
        for revision in range(1, 4):
            for row in (2, 1, 4, 3):
                entries.add(row, revision, "operations", b"x")
            entries.write(connection)
            assert (rows_in(connection, "latest"), rows_in(connection, "entries")) == (revision, 0)
        entries.add(5, 1, "operations", b"x")
        entries.write(connection)
    moved = connection.execute("SELECT row, revision FROM entries ORDER BY row").fetchall()
    assert moved == [(1, 3), (2, 3)]
    assert len(entries.after(connection, 1, 0)) == 3
    assert [entry[0] for entry in entries.after(connection, 1, 2)] == [3]


def test_what_all_was_moved_leaves_the_table(connection: sqlite3.Connection) -> None:
    entries = Entries.read(connection)
    with patch.multiple("statecast.stores.sqlite.entries", **LITTLE):
        for revision in range(1, 1_000):
            for row in ROWS:
                entries.add(row, revision, "operations", b"x" * row)
            entries.write(connection)
            assert rows_in(connection, "latest") <= LITTLE["MOST"]
    assert all([entry[0] for entry in entries.after(connection, row, 0)] == list(range(1, 1_000)) for row in ROWS)


def test_what_is_moved_may_be_compressed(connection: sqlite3.Connection) -> None:
    sizes = []
    for row, compress in ((1, False), (2, True)):
        entries = Entries.read(connection)
        for revision in range(1, 1_000):
            entries.add(
                row, revision, "operations", b'[{"type":"append-text","path":["text"],"value":"%d"}]' % revision
            )
            entries.write(connection, compress=compress)
        (size,) = connection.execute("SELECT sum(length(data)) FROM entries WHERE row = ?", (row,)).fetchone()
        sizes.append(size)
    assert entries.after(connection, 1, 0) == entries.after(connection, 2, 0)
    assert 0 < sizes[1] < sizes[0] / 4


def test_a_large_entry_is_written_once(connection: sqlite3.Connection) -> None:
    entries = Entries.read(connection)
    entries.add(1, 1, "chunk", Random(1).randbytes(1_000_000))
    entries.write(connection)
    assert (rows_in(connection, "latest"), rows_in(connection, "entries")) == (0, 1)
    assert len(entries.after(connection, 1, 0)[0][2]) == 1_000_000
