"""The checks find what they are for: five mistakes that are made in practice, each found within some seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from statecast.stores import StoreUnavailable
from statecast.threads.ownership.leases import Leases
from tests.simulation.engine import Engine
from tests.simulation.loop import SimulatedLoop
from tests.simulation.mistakes import EarlyFence, NoFence, Payload, Silent
from tests.simulation.story import Trouble, tell

#: Seeds within which a mistake is found. They take some seconds; the first ones mostly suffice.
SEEDS = 500


def found(engine: Callable[[SimulatedLoop], Engine], troubles: Sequence[Trouble], checks: Sequence[str]) -> bool:
    """Return whether one of the checks finds something, by the first letters of what they say."""
    return any(
        fault.startswith(tuple(checks))
        for seed in range(SEEDS)
        for fault in tell(seed, engine=engine, troubles=troubles).faults
    )


def test_an_engine_without_a_fence_is_found() -> None:
    assert found(NoFence, ["stall"], ["2."])


def test_a_fence_that_looks_before_it_writes_is_found() -> None:
    assert found(EarlyFence, ["stall"], ["2."])


def test_a_hint_that_carries_what_may_be_fenced_is_found() -> None:
    assert found(Payload, ["stall"], ["3.", "4.", "6."])


def test_a_cursor_from_the_future_that_is_accepted_is_found() -> None:
    assert found(Silent, ["failover"], ["3.", "4.", "6."])


def test_a_renewal_that_dies_of_one_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def renew_until_an_error(leases: Leases) -> None:
        try:
            while True:
                await asyncio.sleep(leases.seconds / 3)
                await leases.renew()
        except StoreUnavailable:
            pass

    monkeypatch.setattr(Leases, "run", renew_until_an_error)
    assert found(Engine, ["blip"], ["7."])
