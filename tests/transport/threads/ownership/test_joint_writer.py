"""Batches of several lanes: joined into few writes, and written by themselves where one may be in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from statecast.stores import Appended, BatchSettled, ChangeRefused, Key, SharedChange, StoreUnavailable
from statecast.threads.ownership.joint_writer import AT_ONCE, JointWriter
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio


class Slow:
    """Writes when a test says so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []  #: the threads of all writes
        self.answers: list[asyncio.Future[Mapping[Key, Exception]]] = []

    async def write(self, changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
        self.asked.append([change.key.thread_id for change in changes])
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


def key(name: str) -> Key:
    return Key(None, name)


def entry(name: str) -> SharedChange:
    return Appended(key(name), 1, "operations", b"[]", None)


async def turns() -> None:
    """Let a few turns of the event loop go by."""
    for _ in range(5):
        await asyncio.sleep(0)


class Lanes:
    """Lanes with a batch each, of the thread of that name."""

    def __init__(self) -> None:
        self.writer = Slow()
        self.joint = JointWriter(self.writer)

    def write(self, *names: str) -> list[asyncio.Task[Mapping[Key, Exception]]]:
        return [asyncio.create_task(self.joint.write([entry(name)])) for name in names]

    async def asked(self, *writes: str) -> None:
        await until(lambda: self.writer.asked == [write.split() for write in writes])


async def test_batches_of_one_turn_join_and_those_that_come_during_writes_join_the_next() -> None:
    lanes = Lanes()
    first = lanes.write("a", "b", "c")
    await lanes.asked("a b c")
    assert AT_ONCE == 2
    second = lanes.write("d")
    await lanes.asked("a b c", "d")
    third = lanes.write("e")
    await turns()
    third += lanes.write("f")
    await turns()
    await lanes.asked("a b c", "d")
    lanes.writer.answers[0].set_result({})
    assert await asyncio.gather(*first) == [{}] * 3
    await lanes.asked("a b c", "d", "e f")
    for answer in lanes.writer.answers[1:]:
        answer.set_result({})
    assert await asyncio.gather(*second, *third) == [{}] * 3


async def test_a_batch_with_more_than_entries_is_written_by_itself() -> None:
    lanes = Lanes()
    lanes.write("a")
    ends = asyncio.create_task(lanes.joint.write([entry("b"), BatchSettled(key("b"), "r")]))
    lanes.write("c")
    await lanes.asked("b b", "a c")
    lanes.writer.answers[0].set_result({})
    assert await ends == {}


async def test_each_lane_learns_which_of_its_threads_were_refused() -> None:
    lanes = Lanes()
    a, b = lanes.write("a", "b")
    await lanes.asked("a b")
    refused = ChangeRefused("no")
    lanes.writer.answers[0].set_result({key("b"): refused})
    assert await a == {}
    assert await b == {key("b"): refused}


async def test_a_batch_that_was_not_confirmed_is_written_by_itself_until_it_is() -> None:
    lanes = Lanes()
    first = lanes.write("a", "b")
    await lanes.asked("a b")
    lanes.writer.answers[0].set_exception(StoreUnavailable())
    for one in first:
        with pytest.raises(StoreUnavailable):
            await one
    again = lanes.write("a", "b", "c", "d")
    await lanes.asked("a b", "a", "b", "c d")
    lanes.writer.answers[1].set_exception(StoreUnavailable())
    for answer in lanes.writer.answers[2:]:
        answer.set_result({})
    with pytest.raises(StoreUnavailable):
        await again[0]
    assert await asyncio.gather(*again[1:]) == [{}] * 3
    lanes.write("a", "b", "e")
    await lanes.asked("a b", "a", "b", "c d", "a", "b e")


async def test_writes_that_hang_do_not_delay_batches_that_are_written_by_themselves() -> None:
    lanes = Lanes()
    (one,) = lanes.write("a")
    await lanes.asked("a")
    lanes.writer.answers[0].set_exception(StoreUnavailable())
    with pytest.raises(StoreUnavailable):
        await one
    lanes.write("b")
    await lanes.asked("a", "b")
    lanes.write("c")
    await lanes.asked("a", "b", "c")
    lanes.write("a")
    await lanes.asked("a", "b", "c", "a")


async def test_an_error_reaches_only_the_lane_whose_batch_is_at_fault() -> None:
    lanes = Lanes()
    a, b = lanes.write("a", "b")
    await lanes.asked("a b")
    lanes.writer.answers[0].set_exception(ValueError("what is that?"))
    await lanes.asked("a b", "a")
    lanes.writer.answers[1].set_exception(ValueError("what is that?"))
    await lanes.asked("a b", "a", "b")
    lanes.writer.answers[2].set_result({})
    with pytest.raises(ValueError, match="what is that"):
        await a
    assert await b == {}


async def test_the_last_lane_that_is_cancelled_cancels_the_write() -> None:
    lanes = Lanes()
    a, b = lanes.write("a", "b")
    await lanes.asked("a b")
    a.cancel()
    await asyncio.wait([a])
    assert not lanes.writer.answers[0].done()
    b.cancel()
    await asyncio.wait([b])
    assert lanes.writer.answers[0].cancelled()
    assert a.cancelled()
    assert b.cancelled()
