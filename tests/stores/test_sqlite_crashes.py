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
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from statecast.stores import Change, SqliteStore, StoreUnavailable
from tests.stores.committing_process import COMMITS
from tests.stores.model import Held, after, holds, script, shown
from tests.stores.small_store import little

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SEED = 5
BATCHES = script(SEED, 12)


@pytest.fixture(autouse=True, params=["usual", "little"])
def limits(request: pytest.FixtureRequest) -> Iterator[str]:
    with little() if request.param == "little" else nullcontext():
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
    counting = Failing(store._connection, -1, Crash(), before=True, dead=True)  # type: ignore[arg-type]  # it is open
    store._connection = counting  # type: ignore[assignment]  # as far as the store needs one
    for batch in BATCHES:
        await store.commit(batch)
    count = counting.statements
    await store.aclose()
    return count


async def acknowledged_of(store: SqliteStore) -> int:
    """Commit until the crash, and return how many commits were acknowledged."""
    for number, batch in enumerate(BATCHES):
        try:
            await store.commit(batch)
        except Crash:
            return number
    raise AssertionError("expected a crash")


@pytest.mark.parametrize("before", [True, False], ids=["before a statement", "after a statement"])
async def test_a_crash_between_any_two_statements_loses_nothing_that_was_acknowledged(
    tmp_path: Path, before: bool
) -> None:
    expected = prefixes(BATCHES)
    count = await statements_of(tmp_path / "count.db")
    assert count > 3 * len(BATCHES)
    for at in range(count):
        path = tmp_path / f"{at}.db"
        store = await opened(path)
        assert store._connection is not None
        store._connection = Failing(store._connection, at, Crash(), before=before, dead=True)  # type: ignore[assignment]
        acknowledged = await acknowledged_of(store)
        held = await held_by(copied(path, tmp_path / f"{at}"))
        with suppress(Crash):
            await store.aclose()
        if before:
            assert held == expected[acknowledged], (at, acknowledged)
        else:  # after the last statement of a commit it is kept, though nobody was told
            assert held in (expected[acknowledged], expected[acknowledged + 1]), (at, acknowledged)


@pytest.mark.parametrize("before", [True, False], ids=["before a statement", "after a statement"])
async def test_a_statement_that_fails_undoes_its_commit_which_can_be_tried_again(tmp_path: Path, before: bool) -> None:
    expected = prefixes(BATCHES)
    count = await statements_of(tmp_path / "count.db")
    for at in range(count):
        path = tmp_path / f"{at}.db"
        store = await opened(path)
        raw = store._connection
        assert raw is not None
        full = sqlite3.OperationalError("database or disk is full")
        failing = Failing(raw, at, full, before=before, dead=False)
        held = expected[0]
        for number, batch in enumerate(BATCHES):
            while held != expected[number + 1]:  # unless the commit itself went through before it failed
                store._connection = failing  # type: ignore[assignment]  # as far as the store needs one
                error = await refusal_of(store, batch)
                store._connection = raw
                assert not raw.in_transaction
                held = await holds(store)
                assert held == expected[number + 1] or (error and held == expected[number]), (at, number)
        assert failing.failed
        await store.aclose()
        assert await held_by(path) == expected[-1], at


async def refusal_of(store: SqliteStore, batch: Sequence[Change]) -> StoreUnavailable | None:
    try:
        await store.commit(batch)
    except StoreUnavailable as error:
        return error
    return None


async def test_a_log_cut_off_anywhere_leaves_a_prefix_of_the_commits(tmp_path: Path) -> None:
    expected = prefixes(BATCHES)
    path = tmp_path / "threads.db"
    store = await opened(path)
    for batch in BATCHES:
        await store.commit(batch)
    whole = copied(path, tmp_path / "whole")
    await store.aclose()

    log = Path(f"{whole}-wal")
    size = log.stat().st_size
    found: list[int] = []
    for number, end in enumerate([*range(0, size, size // 60), size]):
        cut = copied(whole, tmp_path / f"cut{number}")
        os.truncate(f"{cut}-wal", end)
        held = await held_by(cut)
        assert held in expected, end
        found.append(max(index for index, one in enumerate(expected) if one == held))
    assert found == sorted(found)
    assert found[-1] == len(BATCHES)


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
            for _ in range(random.randint(0, 50)):
                process.stdout.readline()
            process.kill()
            kills += 1
            said = process.stdout.read().split()
        acknowledged = max([done, *map(int, said)])
        held = asyncio.run(held_by(path))
        found = [number for number in range(acknowledged, len(expected)) if expected[number] == held][:1]
        assert found, f"expected what was acknowledged, {acknowledged} commits; repeat with STATECAST_SEED={seed}"
        done = found[0]
    assert kills > 3
