"""The simulated event loop: time jumps, processes take turns by the seed, and can be paused and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import anyio
import pytest

from tests.simulation.loop import Process, SimulatedLoop, Stuck


def run(loop: SimulatedLoop, main: Coroutine[Any, Any, None]) -> None:
    try:
        loop.run_until_complete(main)
    finally:
        loop.close()


def test_time_jumps_to_the_next_timer() -> None:
    loop = SimulatedLoop(Random(1))
    times: list[float] = []

    async def main() -> None:
        for seconds in (0.5, 3_600.0, 86_400.0):
            await asyncio.sleep(seconds)
            times.append(loop.time())
        with anyio.move_on_after(10):
            await anyio.sleep_forever()
        times.append(loop.time())

    run(loop, main())
    assert times == [0.5, 3_600.5, 90_000.5, 90_010.5]


@pytest.mark.parametrize("fate", ["pause", "kill"])
def test_what_a_process_has_to_do_waits_while_it_is_paused(fate: str) -> None:
    loop = SimulatedLoop(Random(1))
    process = Process("one", loop)
    times: list[float] = []

    async def tick() -> None:
        for _ in range(4):
            await asyncio.sleep(1)
            times.append(loop.time())

    async def main() -> None:
        loop.start(process, tick(), name="tick")
        await asyncio.sleep(1.5)
        getattr(process, fate)()
        await asyncio.sleep(3)
        process.resume()
        await asyncio.sleep(10)
        process.dead = process.paused = False
        await asyncio.sleep(10)

    run(loop, main())
    assert times[:2] == ([1.0, 4.5] if fate == "pause" else [1.0, 14.5])


def order(seed: int) -> list[str]:
    """Return who had a turn in which order, of three processes that always have something to do."""
    loop = SimulatedLoop(Random(seed))
    turns: list[str] = []

    async def work(name: str) -> None:
        for number in range(5):
            turns.append(f"{name}{number}")
            await asyncio.sleep(0)

    async def main() -> None:
        for name in "abc":
            loop.start(Process(name, loop), work(name), name=name)
        await asyncio.sleep(1)

    run(loop, main())
    return turns


def test_the_seed_says_whose_turn_it_is_and_each_process_keeps_its_order() -> None:
    orders = [order(seed) for seed in range(10)]

    assert orders == [order(seed) for seed in range(10)]
    assert len({tuple(turns) for turns in orders}) == 10
    for turns in orders:
        for name in "abc":
            assert [turn for turn in turns if turn[0] == name] == [f"{name}{number}" for number in range(5)]


def test_a_process_has_a_clock_of_its_own() -> None:
    loop = SimulatedLoop(Random(1))
    fast = Process("fast", loop, rate=1.1)
    before = fast.clock()
    run(loop, asyncio.sleep(10))
    assert fast.clock() - before == pytest.approx(11)


def test_a_story_in_which_nothing_can_happen_is_stuck() -> None:
    loop = SimulatedLoop(Random(1))

    async def main() -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="nothing is left to happen"):
        run(loop, main())


def test_what_nobody_catches_is_noted() -> None:
    loop = SimulatedLoop(Random(1))

    async def main() -> None:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    run(loop, main())
    assert len(loop.failures) == 1
    assert "ZeroDivisionError" in loop.failures[0]
