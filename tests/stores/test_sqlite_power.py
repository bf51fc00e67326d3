"""A store's process is killed, or the power fails, again and again, and what is left goes on.

Killed at any moment, a store has everything that it has stored or shown. After a loss of power each thread is as it was
after one of its commits, with everything before that; and if commits wait for the disk, nothing is lost either. Where
something may have been lost, cursors are of another epoch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.crowd import seeded
from tests.counts import count
from tests.stores.lives import Lives
from tests.stores.nursery import Nursery

pytestmark = pytest.mark.slow

if sys.platform != "linux":
    pytest.skip("a process that has ended keeps its number only as Linux does it", allow_module_level=True)

KILLS = count("STORE_KILLS", 100, long=500)  #: in all


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
@pytest.mark.parametrize("durable", [False, True], ids=["usual", "durable"])
def test_a_store_that_ends_at_any_moment_has_what_it_promised(
    tmp_path: Path, nursery: Nursery, durable: bool, power: bool
) -> None:
    seed, random = seeded(f"power {durable} {power}")
    lives = Lives(tmp_path, nursery, random, durable=durable)
    try:
        while lives.kills < KILLS / 4:
            lives.live(random.choices(["killed", "torn", "stopped"], [6, 3, 1])[0], power=power)
    except BaseException as failure:
        failure.add_note(f"repeat with STATECAST_SEED={seed}; it was killed {lives.kills} times")
        raise
    assert power or not lives.losses
    print(f"seed {seed}: {lives.kills} kills, {lives.losses} threads have lost something")
