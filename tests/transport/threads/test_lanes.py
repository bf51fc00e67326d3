"""The journal of a shared store: several batches on their way, each thread's in order, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio
import pytest

from statecast.stores import (
    BatchAccepted,
    BatchSettled,
    ChangeRefused,
    Key,
    MemoryStore,
    SharedChange,
    StoreUnavailable,
)
from statecast.threads.log.journal import LANES, Journal
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio


class Slow:
    """Writes when a test says so, one batch at a time."""

    def __init__(self) -> None:
        self.asked: list[Sequence[SharedChange]] = []  #: all batches that were to be written
        self.answers: list[asyncio.Future[Mapping[Key, Exception]]] = []

    async def write(self, changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
        self.asked.append(list(changes))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


@contextlib.asynccontextmanager
async def writing(refused: list[Key] | None = None) -> AsyncIterator[tuple[Journal, Slow]]:
    writer = Slow()
    set_aside: list[Key] = [] if refused is None else refused
    journal = Journal(MemoryStoreAfar(), set_aside.append, writer)
    task = asyncio.create_task(journal.run())
    try:
        yield journal, writer
    finally:
        task.cancel()
        await asyncio.wait([task])


class MemoryStoreAfar(MemoryStore):
    """A store that has to be waited for."""

    instant = False


def batch(name: str, run_id: str = "r") -> BatchAccepted:
    return BatchAccepted(Key(None, name), run_id, b"{}")


def apart(journal: Journal) -> list[str]:
    """Return the names of threads of different lanes, one of each."""
    found: dict[int, str] = {}
    for number in range(200):
        found.setdefault(id(journal.lane_of(Key(None, f"{number}"))), f"{number}")
    return list(found.values())


async def test_batches_of_several_threads_are_on_their_way_at_once() -> None:
    async with writing() as (journal, writer):
        names = apart(journal)
        assert len(names) == LANES
        journal.add(*(batch(name) for name in names))
        await until(lambda: len(writer.asked) == LANES)
        assert sorted(change.key.thread_id for asked in writer.asked for change in asked) == sorted(names)


async def test_changes_of_one_thread_wait_for_those_before() -> None:
    async with writing() as (journal, writer):
        first, second, third = batch("t", "1"), batch("t", "2"), BatchSettled(Key(None, "t"), "1")
        journal.add(first)
        await until(lambda: writer.asked == [[first]])
        journal.add(second)
        journal.add(third)
        await anyio.lowlevel.checkpoint()
        assert writer.asked == [[first]]
        writer.answers[0].set_result({})
        await until(lambda: writer.asked == [[first], [second, third]])


async def test_a_thread_has_one_lane_whoever_owns_it() -> None:
    async with writing() as (journal, _):
        assert journal.lane_of(Key("ann", "t")) is journal.lane_of(Key(None, "t"))


async def test_what_the_store_did_not_confirm_is_written_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.0,))
    async with writing() as (journal, writer):
        first, second = batch("t", "1"), batch("t", "2")
        journal.add(first)
        await until(lambda: writer.asked)
        journal.add(second)
        writer.answers[0].set_exception(StoreUnavailable())
        await until(lambda: len(writer.asked) == 2)
        assert writer.asked == [[first], [first]]
        writer.answers[1].set_result({})
        await until(lambda: writer.asked == [[first], [first], [second]])


async def test_what_may_be_stored_is_not_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.0,))
    async with writing() as (journal, writer):
        first, second = batch("t", "1"), batch("t", "2")
        journal.add(first)
        await until(lambda: writer.asked)
        journal.add(second)
        journal.withdraw([first, second])
        writer.answers[0].set_exception(StoreUnavailable())
        await until(lambda: len(writer.asked) == 2)
        writer.answers[1].set_result({})
        await journal.wait_stored()
        assert writer.asked == [[first], [first]]


async def test_who_waits_for_a_thread_does_not_wait_for_others() -> None:
    async with writing() as (journal, writer):
        one, other, *_ = apart(journal)
        journal.add(batch(one), batch(other))
        await until(lambda: len(writer.asked) == 2)
        at = [asked[0].key.thread_id for asked in writer.asked].index(one)
        writer.answers[at].set_result({})
        await journal.wait_stored(Key(None, one))
        assert not journal.all_stored
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await journal.wait_stored()


async def test_threads_that_are_dropped_have_nothing_left_to_write() -> None:
    async with writing() as (journal, writer):
        names = apart(journal)
        lost = [Key(None, name) for name in names[1:]]
        journal.add(*(batch(name, "1") for name in names))
        await until(lambda: len(writer.asked) == LANES)
        journal.add(*(batch(name, "2") for name in names))
        journal.drop(lost)
        assert [journal.has(Key(None, name)) for name in names] == [True, *[False] * len(lost)]
        for answer in writer.answers:
            answer.set_result({})
        await until(lambda: len(writer.asked) == LANES + 1)
        writer.answers[-1].set_result({})
        await journal.wait_stored()
        assert [change.key.thread_id for change in writer.asked[-1]] == names[:1]


async def test_a_failure_is_over_when_what_could_not_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.threads.log.lane.RETRY", (0.0,))
    async with writing() as (journal, writer):
        journal.add(batch("t"))
        await until(lambda: writer.asked)
        journal.drop([Key(None, "t")])  # another process has claimed it, while the write is on its way
        failed = asyncio.Event()
        waiting = journal.lane_of(Key(None, "t")).wait()
        waiting.add_done_callback(lambda future: failed.set() if future.exception() else None)
        writer.answers[0].set_exception(StoreUnavailable())
        await failed.wait()
        await until(lambda: journal.failing is None)


async def test_only_the_thread_that_the_store_refuses_takes_nothing_more() -> None:
    refused: list[Key] = []
    async with writing(refused) as (journal, writer):
        journal.add(batch("t"))
        await until(lambda: writer.asked)
        writer.answers[0].set_result({Key(None, "t"): ChangeRefused("it does not fit")})
        await journal.wait_stored()
        assert refused == [Key(None, "t")]
        journal.add(batch("t", "2"))
        assert journal.all_stored
        journal.add(batch("u"))
        assert not journal.all_stored
