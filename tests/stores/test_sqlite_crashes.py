"""A crash, or a failing disk, at any moment.

The file holds the state after some prefix of the commits, and no less than what was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from statecast.stores import Change, SqliteStore, StoreUnavailable
from statecast.stores.sqlite import store as sqlite
from tests.stores.committing_process import COMMITS
from tests.stores.model import KEYS, Held, after, holds, script, shown
from tests.stores.small_store import little
from tests.transport.server_lives import AtOnce

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SEED = 5
BATCHES = script(SEED, 12)


@pytest.fixture(autouse=True, params=["usual", "little"])
def limits(request: pytest.FixtureRequest) -> Iterator[str]:
    """Use the usual limits or little ones; and no threads, so that statements come in the same order each time."""
    with little() if request.param == "little" else nullcontext(), patch.object(sqlite, "ThreadPoolExecutor", AtOnce):
        yield request.param


class Crash(BaseException):
    """The process ends here: nothing is written any more."""


class Failing:
    """A connection on which one statement fails.

    Args:
        connection: What it speaks to.
        at: The statement, counted from 0.
        error: What is raised.
        before: Whether it is raised before the statement is executed, or after.
        dead: Whether nothing works from then on.
    """

    def __init__(
        self, connection: sqlite3.Connection, at: int, error: BaseException, *, before: bool, dead: bool
    ) -> None:
        self._connection = connection
        self._at = at
        self._error = error
        self._before = before
        self._dead = dead
        self.statements = 0
        self.failed = False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, *args: Any) -> Any:
        return self._do(self._connection.execute, *args)

    def executemany(self, *args: Any) -> Any:
        return self._do(self._connection.executemany, *args)

    def close(self) -> None:
        self._connection.close()

    def _do(self, function: Any, *args: Any) -> Any:
        if self.failed and self._dead:
            raise self._error
        now = self.statements == self._at
        self.statements += 1
        if now and self._before:
            self.failed = True
            raise self._error
        if now:
            function(*args)
            self.failed = True
            raise self._error
        return function(*args)


def prefixes(batches: Sequence[Sequence[Change]]) -> list[Held]:
    """Return what is held after each number of commits."""
    held: list[Held] = [{}]
    for batch in batches:
        held.append(after(held[-1], batch))
    return [shown(one) for one in held]


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    return store


async def held_by(path: Path) -> Held:
    """Return what a file holds, with the epochs as they were before the crash."""
    store = await opened(path)
    held = await holds(store)
    await store.aclose()
    return {key: (replace(saved, epoch=saved.epoch.partition(".")[0]), runs) for key, (saved, runs) in held.items()}


def copied(path: Path, folder: Path) -> Path:
    """Copy a file and its log as they are: what a process leaves that is killed now."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder / file.name)
    return folder / path.name


async def statements_of(path: Path) -> int:
    """Return how many statements the script takes."""
    store = await opened(path)
    assert store._database is not None
    counting = Failing(store._database.connection, -1, Crash(), before=True, dead=True)
    store._database.connection = counting  # type: ignore[assignment]  # as far as the store needs one
    for batch in BATCHES:
        await store.commit(batch)
    statements = counting.statements
    await store.aclose()
    return statements


async def acknowledged_of(store: SqliteStore) -> int:
    """Commit until the crash, or until it is of no consequence, and return how many commits were acknowledged."""
    for number, batch in enumerate(BATCHES):
        try:
            await store.commit(batch)
        except Crash:
            return number
    return len(BATCHES)


@pytest.mark.parametrize("before", [True, False], ids=["before a statement", "after a statement"])
async def test_a_crash_between_any_two_statements_loses_nothing_that_was_acknowledged(
    tmp_path: Path, before: bool
) -> None:
    expected = prefixes(BATCHES)
    statements = await statements_of(tmp_path / "count.db")
    assert statements > len(BATCHES)
    for at in range(statements):
        path = tmp_path / f"{at}.db"
        store = await opened(path)
        assert store._database is not None
        failing = Failing(store._database.connection, at, Crash(), before=before, dead=True)
        store._database.connection = failing  # type: ignore[assignment]  # as far as the store needs one
        acknowledged = await acknowledged_of(store)
        held = await held_by(copied(path, tmp_path / f"{at}"))
        with suppress(Crash):
            await store.aclose()
        assert held in expected[acknowledged : acknowledged + 2], (at, acknowledged)  # nobody was told of the last


@pytest.mark.parametrize("before", [True, False], ids=["before a statement", "after a statement"])
async def test_a_statement_that_fails_can_be_tried_again(tmp_path: Path, before: bool) -> None:
    expected = prefixes(BATCHES)
    failed = 0
    for at in count():
        path = tmp_path / f"{at}.db"
        store = await opened(path)
        assert store._database is not None
        raw = store._database.connection
        failing = Failing(raw, at, sqlite3.OperationalError("database or disk is full"), before=before, dead=False)
        store._database.connection = failing  # type: ignore[assignment]  # as far as the store needs one
        held = expected[0]
        for number, batch in enumerate(BATCHES):
            while held != expected[number + 1]:
                error = await refusal_of(store, batch)
                held = await found_in(store)
                assert held == expected[number + 1] or (error and held == expected[number]), (at, number)
        failed += failing.failed
        await store.aclose()
        assert await held_by(path) == expected[-1], at
        if not failing.failed:
            break
    assert failed > 3 * len(BATCHES)


async def found_in(store: SqliteStore) -> Held:
    """Return what a store holds; once it may fail."""
    try:
        return await holds(store)
    except StoreUnavailable:
        return await holds(store)


async def refusal_of(store: SqliteStore, batch: Sequence[Change]) -> StoreUnavailable | None:
    try:
        await store.commit(batch)
    except StoreUnavailable as error:
        return error
    return None


@pytest.mark.parametrize("suffix", ["-wal", "-segment-"])
async def test_a_file_cut_off_anywhere_leaves_a_prefix_of_the_commits_of_each_thread(
    tmp_path: Path, suffix: str
) -> None:
    expected = prefixes(BATCHES)
    path = tmp_path / "threads.db"
    store = await opened(path)
    for batch in BATCHES:
        await store.commit(batch)
    whole = copied(path, tmp_path / "whole")
    await store.aclose()

    file = max(whole.parent.glob(f"{whole.name}{suffix}*"))
    size = file.stat().st_size
    for number, end in enumerate([*range(0, size, size // 60 or 1), size]):
        cut = copied(whole, tmp_path / f"cut{number}")
        os.truncate(cut.parent / file.name, end)
        held = await held_by(cut)
        if suffix == "-wal" or end == size:
            assert held == expected[-1], end
        for key in KEYS:
            assert held.get(key) in [one.get(key) for one in expected], (end, key)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_that_is_killed_leaves_what_it_acknowledged(tmp_path: Path, limits: str) -> None:
    seed = int(os.environ.get("STATECAST_SEED", "1"))
    random = Random(seed)
    path = tmp_path / "threads.db"
    expected = prefixes(script(seed, COMMITS))
    done = kills = 0
    while done < COMMITS:
        paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport", "."))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stores.committing_process", str(path), str(seed), str(done), limits],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            cwd=ROOT,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            for _ in range(random.randint(0, 15)):
                process.stdout.readline()
            process.kill()
            kills += 1
            said = process.stdout.read().split()
        acknowledged = max([done, *map(int, said)])
        held = asyncio.run(held_by(path))
        found = [number for number in range(acknowledged, len(expected)) if expected[number] == held][:1]
        assert found, f"expected what was acknowledged, {acknowledged} commits; repeat with STATECAST_SEED={seed}"
        done = found[0]
    assert kills > 1
