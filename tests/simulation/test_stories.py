"""Several servers over one engine, while everything goes wrong: what holds of a cluster holds in every story.

A story that fails is told again by `python -m tests.simulation SEED`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.counts import count
from tests.simulation.story import tell

#: Stories, and into how many tests they are divided.
STORIES = count("STORIES", 2_000, long=200_000)
PARTS = 8


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_goes_wrong_nothing_is_lost_or_done_twice(part: int) -> None:
    for seed in range(part, STORIES, PARTS):
        story = tell(seed)
        assert not story.faults, str(story)


def test_a_seed_tells_the_same_story_again() -> None:
    traces = [tell(seed).trace for seed in range(30)]

    assert [tell(seed).trace for seed in range(30)] == traces
    assert len(set(traces)) == 30


@pytest.mark.slow
def test_another_process_tells_the_same_story() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--traces", "20"],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hashes in ("1", "2")
    }

    assert told == {"".join(f"{seed} {tell(seed).trace}\n" for seed in range(20))}
