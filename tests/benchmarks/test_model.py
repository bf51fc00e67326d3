"""The model multiplies what was measured, and says what breaks first."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.model import Figures, Workload, cores, engine_cores, needs

FIGURES = Figures(
    token=50e-6,
    entry=20e-6,
    frame=10e-6,
    poll=5e-6,
    engine_token=3e-6,
    engine_entry=2e-6,
    engine_poll=1e-6,
    follower_bytes=12_000,
    frame_bytes=150,
)
WORKLOAD = Workload(followers=1_000, followers_each=10, talking=0.5, tokens=10, machines=1, processes=1)


def test_one_process_follows_nothing_of_another() -> None:
    assert WORKLOAD.mirrors == 0
    assert cores(FIGURES, WORKLOAD) == pytest.approx(500 * 50e-6 + 5_000 * 10e-6)
    assert engine_cores(FIGURES, WORKLOAD) == pytest.approx(500 * 3e-6)


def test_what_several_processes_read_of_each_other_is_added() -> None:
    assert cores(FIGURES, WORKLOAD, mirrors=2) == pytest.approx(500 * 90e-6 + 5_000 * 10e-6 + 200 * 5e-6)
    assert engine_cores(FIGURES, WORKLOAD, mirrors=2) == pytest.approx(500 * 7e-6 + 200 * 1e-6)


def test_followers_are_spread_over_processes_unless_they_are_sent_to_one() -> None:
    many = msgspec.structs.replace(WORKLOAD, machines=100, processes=4)
    few = msgspec.structs.replace(WORKLOAD, processes=2)

    assert 9.8 < many.mirrors < 10
    assert 0.99 < few.mirrors < 1
    assert msgspec.structs.replace(many, sticky=True).mirrors == 1


def test_what_breaks_first_comes_first() -> None:
    workload = Workload(followers=1_000_000, followers_each=10, talking=0.1, tokens=20, machines=100, processes=4)

    found = needs(FIGURES, workload)

    assert [need.share for need in found] == sorted((need.share for need in found), reverse=True)
    assert found[0].what == "the engine, if it is one Redis"
    assert found[0].share > 1
