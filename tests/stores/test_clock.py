"""The time that a store counts."""

from __future__ import annotations

import time

import pytest

from statecast.stores.clock import Clock


def test_time_that_was_kept_goes_on() -> None:
    now = 5.0
    first = Clock(clock=lambda: now)
    now += 100
    later = Clock(first.written(), clock=lambda: now)
    assert later.now() == pytest.approx(first.now(), abs=1e-3)
    now += 100
    assert later.now() == pytest.approx(first.now(), abs=1e-3)


@pytest.mark.parametrize("at", [None, "", "1e300", 1e300, b"1.0 00000000", "9999999999.000000 00000000", "x y"])
def test_time_that_was_damaged_begins_anew(at: object) -> None:
    assert abs(Clock(at).now() - time.time()) < 60


def test_a_digit_that_was_damaged_is_noticed() -> None:
    kept = Clock().written()
    for place, digit in enumerate(kept):
        damaged = kept[:place] + ("7" if digit != "7" else "8") + kept[place + 1 :]
        assert abs(Clock(damaged).now() - time.time()) < 60
