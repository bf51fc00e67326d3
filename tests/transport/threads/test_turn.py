"""The end of a turn: one callback for all threads, and slices of readers, so that many hold up nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from statecast.protocol import PROTOCOLS
from statecast.threads.log.log import Log
from statecast.threads.log.turn import SLICE, Turn
from tests.transport.threads.test_reader import thread_of

pytestmark = pytest.mark.anyio


class Steps:
    """What was stepped, flushed and written, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.turn = Turn(lambda: self.seen.append("write"))

    def log(self) -> Log:
        return Log(keep_entries=10, keep_bytes=1_000, turn=self.turn)

    def follow(self, log: Log, *names: str) -> list[Follower]:
        followers = [Follower(self, name) for name in names]
        for follower in followers:
            log.join(follower)
        return followers


class Follower:
    def __init__(self, steps: Steps, name: str) -> None:
        self.revision = 0
        self.until: str | None = None
        self.endless = False
        self.driver = None
        self.name = name
        self._steps = steps

    def step(self) -> None:
        self._steps.seen.append(self.name)

    def beat(self) -> None:
        self._steps.seen.append(f"beat {self.name}")

    def renew(self, epoch: str | None) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._steps.seen.append(f"close {self.name}")


class State:
    def __init__(self, steps: Steps, name: str, error: Exception | None = None) -> None:
        self._steps, self._name, self._error = steps, name, error

    def flush(self) -> None:
        self._steps.seen.append(f"flush {self._name}")
        if self._error is not None:
            raise self._error


@contextmanager
def reported() -> Iterator[list[dict[str, Any]]]:
    """Collect what the event loop's exception handler is given."""
    loop, found = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: found.append(context))
    try:
        yield found
    finally:
        loop.set_exception_handler(None)


async def test_a_turn_flushes_then_writes_once_then_reads() -> None:
    steps = Steps()
    logs = [steps.log(), steps.log()]
    for number, log in enumerate(logs):
        steps.follow(log, f"reader {number}")
        log.show(1)
        log.show(2)
    steps.turn.flush_soon(State(steps, "a"))
    steps.turn.flush_soon(State(steps, "b"))

    assert steps.seen == []
    await asyncio.sleep(0)
    assert steps.seen == ["flush a", "flush b", "write", "reader 0", "reader 1"]
    await asyncio.sleep(0)
    assert len(steps.seen) == 5


async def test_a_state_that_cannot_be_flushed_stops_no_other() -> None:
    steps = Steps()
    error = LookupError("expected a node, got none")
    with reported() as found:
        steps.turn.flush_soon(State(steps, "a", error))
        steps.turn.flush_soon(State(steps, "b"))
        await asyncio.sleep(0)

    assert steps.seen == ["flush a", "flush b", "write"]
    assert [context["exception"] for context in found] == [error]


async def test_what_a_reader_adds_is_written_in_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps()
    log = steps.log()
    (reader,) = steps.follow(log, "reader")
    monkeypatch.setattr(reader, "step", steps.turn.end_soon)
    log.show(1)
    await asyncio.sleep(0)
    assert steps.seen == ["write"]
    await asyncio.sleep(0)
    assert steps.seen == ["write", "write"]
    await asyncio.sleep(0)
    assert len(steps.seen) == 2


async def test_nobody_reads_while_a_state_is_flushed() -> None:
    thread = thread_of()
    steps: list[int] = []
    reader = thread.follow(PROTOCOLS["assistant-transport"](None), revision=0, endless=True)
    reader.driver = _Driver(steps)
    with thread.document.lock:
        thread.document.root = {"a": 1}
        thread.flush()
        assert steps == []
    await asyncio.sleep(0)
    assert steps == [1]


async def test_many_readers_are_stepped_in_slices_and_others_between_them() -> None:
    steps = Steps()
    crowd, other = steps.log(), steps.log()
    steps.follow(crowd, *["one of many"] * (5 * SLICE))
    steps.follow(other, "the other")
    crowd.show(1)
    await asyncio.sleep(0)
    assert steps.seen.count("one of many") == SLICE
    other.show(1)
    await asyncio.sleep(0)
    assert steps.seen.count("one of many") == 2 * SLICE
    assert steps.seen[-1] == "the other"

    for _ in range(10):
        await asyncio.sleep(0)
    assert steps.seen.count("one of many") == 5 * SLICE
    assert steps.seen.count("the other") == 1


async def test_what_comes_while_many_read_is_read_by_those_that_have_read_as_well() -> None:
    steps = Steps()
    crowd = steps.log()
    followers = steps.follow(crowd, *map(str, range(3 * SLICE)))
    crowd.show(1)
    await asyncio.sleep(0)
    crowd.show(2)
    for _ in range(10):
        await asyncio.sleep(0)

    counts = [steps.seen.count(follower.name) for follower in followers]
    assert counts == [2] * len(followers)


async def test_readers_may_come_and_go_while_many_read() -> None:
    steps = Steps()
    crowd = steps.log()
    followers = steps.follow(crowd, *map(str, range(3 * SLICE)))
    crowd.show(1)
    await asyncio.sleep(0)
    for follower in followers[1:]:
        crowd.leave(follower)
    steps.follow(crowd, "late")
    crowd.show(2)
    for _ in range(10):
        await asyncio.sleep(0)

    assert steps.seen.count("late") == 1
    assert steps.seen.count("0") == 2
    assert not crowd.unread


async def test_heartbeats_and_ends_reach_all_readers() -> None:
    steps = Steps()
    log = steps.log()
    steps.follow(log, "a")
    log.beat()
    await asyncio.sleep(0)
    log.close()
    await asyncio.sleep(0)
    steps.follow(log, "b")

    assert [step for step in steps.seen if step != "write"] == ["beat a", "a", "close a", "a", "close b"]


class _Driver:
    def __init__(self, steps: list[int]) -> None:
        self._steps = steps

    def step(self) -> None:
        self._steps.append(1)
