"""Runs that stop when nobody waits for them any more: whoever waits, in whichever process, keeps them going."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from statecast.testing import Response
from statecast.threads.runs import followed
from statecast.threads.runs.followed import ANYONE, COUNTS, FollowedElsewhere
from tests.transport.elsewhere.apps import Process, held_by, processes
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = pytest.mark.anyio


async def begun(process: Process, stack: contextlib.AsyncExitStack, lost: str = "cancel") -> None:
    """Begin a run whose stream is lost when the stack is closed."""
    body = {"threadId": "t", "commands": [HOLD], "onDisconnect": lost}
    stream = await stack.enter_async_context(process.client.stream("POST", "/assistant", json=body))
    await stream.read_until(b"held")
    await held_by(process)


@contextlib.asynccontextmanager
async def resumed(process: Process) -> AsyncIterator[Response]:
    """Follow the run of a thread until it ends."""
    async with process.client.stream("POST", "/resume", json={"threadId": "t"}) as stream:
        await stream.read_until(b"held")
        yield stream


def followers(process: Process) -> set[str]:
    """Return the processes whose streams wait for the run that a process executes, as it knows them."""
    thread = process.thread()
    assert thread is not None
    assert thread.active is not None
    return set(thread.active.followed._until) - {ANYONE}


async def status(process: Process) -> str:
    return str((await process.client.get("/status/t")).json()["status"])


async def test_a_run_goes_on_while_a_process_follows_it_and_stops_after_the_last() -> None:
    agent, _ = held()
    async with processes(agent, 3) as (one, two, three):
        async with contextlib.AsyncExitStack() as first:
            await begun(one, first)
            async with resumed(two):
                async with resumed(three):
                    await until(lambda: len(followers(one)) == 2)
                    await first.aclose()
                    assert await status(one) == "running"
                await until(lambda: len(followers(one)) == 1)
                assert await status(one) == "running"
        await until(lambda: (thread := one.thread()) is not None and thread.active is None)
        assert await status(three) == "cancelled"


async def test_a_run_that_goes_on_without_its_client_needs_nobody() -> None:
    agent, release = held()
    async with processes(agent, 2) as (one, two):
        async with contextlib.AsyncExitStack() as first:
            await begun(one, first, "continue")
            async with resumed(two):
                await two.client.run(NOTE, thread_id="other")  # what it says leaves before that
                assert followers(one) == set()
        release.set()
        await until(lambda: (thread := one.thread()) is not None and thread.active is None)
        assert await status(two) == "completed"


async def test_processes_say_again_that_they_follow_and_count_no_longer_when_they_are_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("statecast.threads.elsewhere.following.REPEATED", 0.01)
    agent, _ = held()
    async with processes(agent, 2) as (one, two):
        async with contextlib.AsyncExitStack() as first:
            await begun(one, first)
            async with resumed(two):
                await until(lambda: len(followers(one)) == 1)
                thread = one.thread()
                assert thread is not None
                assert thread.active is not None
                thread.active.followed._until.clear()
                await until(lambda: len(followers(one)) == 1)
                monkeypatch.setattr(followed, "COUNTS", 0.0)  # as if the process had ended
                await first.aclose()
                await until(lambda: thread.active is None)
        assert await status(one) == "cancelled"


def test_the_last_process_that_is_silent_ends_it_once() -> None:
    run = FollowedElsewhere()
    run.begin("a", 0.0)
    run.begin("b", 5.0)
    assert not run.leave(6.0)
    assert not run.has_ended(COUNTS)
    assert run.has_ended(COUNTS + 5.0)
    assert not run.has_ended(COUNTS + 5.0)
    assert run.leave(COUNTS + 6.0)


def test_whoever_followed_before_a_takeover_has_time_to_say_so() -> None:
    run = FollowedElsewhere()
    run.begin_unknown(0.0)
    assert not run.leave(1.0)
    run.begin("a", 2.0)
    assert not run.has_ended(25.0)
    run.end("a")
    assert run.leave(26.0)
    unfollowed = FollowedElsewhere()
    unfollowed.begin_unknown(0.0)
    assert not unfollowed.has_ended(25.0)  # nobody was lost
