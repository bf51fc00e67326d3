"""The life of a run: whatever happens to it, its statuses follow each other as the one table says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import inf
from typing import Any, get_args
from unittest.mock import patch

import anyio
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statecast import Agent, Limits, Run, UntypedCommand
from statecast.protocol import RunEntry, RunError, RunState, Status
from statecast.protocol.entries import ENDED
from statecast.threads import Hub, Posted, Thread
from statecast.threads.runs.lifecycle import TRANSITIONS, ImpossibleTransition, advance
from tests.counts import examples

STATUSES: Sequence[Status] = get_args(Status)

#: What happens, one after the other: to the server, or in the agent's code.
ACTS = st.lists(
    st.sampled_from(
        [
            "post",
            "post",
            "interrupt",
            "rollback",
            "wait",
            "wait",
            "give up",
            "reply",
            "occupy",
            "free",
            "thread",
            "thread beside",
            "thread detached",
            "wait detached",
            "return",
            "raise",
            "cancel",
            "drop",
            "time",
            "turn",
            "turn",
        ]
    ),
    max_size=40,
)


def test_the_table_has_every_status_and_nothing_follows_an_end() -> None:
    assert set(TRANSITIONS) == set(STATUSES)
    assert {status for status in STATUSES if not TRANSITIONS[status]} == ENDED
    assert {after for status in STATUSES for after in TRANSITIONS[status]} <= set(STATUSES)


@pytest.mark.parametrize("before", STATUSES)
def test_a_status_that_cannot_follow_raises(before: Status) -> None:
    run = RunState("run_1", before)
    for after in STATUSES:
        if after in TRANSITIONS[before]:
            assert advance(run, after, RunError("x", "y")) == RunState("run_1", after, RunError("x", "y"))
        else:
            with pytest.raises(ImpossibleTransition, match=f'after "{before}" of the run run_1, got "{after}"'):
                advance(run, after)


class Puppet:
    """An agent that does what it is told, and the server it runs on."""

    def __init__(self) -> None:
        self.agent = Agent(policy="rollback", commands=["reply"], cancel_seconds=0.05)
        self.hub = Hub({self.agent.name: self.agent}, limits=Limits(threads=1))
        self.todo: asyncio.Queue[str] = asyncio.Queue()
        self.waits: list[anyio.CancelScope] = []
        self.detached: set[asyncio.Task[Any]] = set()
        self.occupied = False
        self.agent.on("work")(self.work)

    async def work(self, run: Run, command: UntypedCommand) -> None:
        while (act := await self.todo.get()) != "return":
            match act:
                case "wait":
                    with anyio.CancelScope() as scope:
                        self.waits.append(scope)
                        await run.wait_for("reply")
                case "thread":
                    await run.in_thread(lambda: None)
                case "thread beside":
                    run.start_soon(_beside, run)
                case "thread detached":
                    self.detach(run.in_thread(lambda: None))
                case "wait detached":
                    self.detach(run.wait_for("reply"))
                case "raise":
                    raise ValueError

    def detach(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.detached.add(task)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def thread(self) -> Thread | None:
        return self.hub.loaded("t")

    async def post(self, kind: str, policy: Any) -> None:
        command = msgspec.json.encode({"type": kind})
        await self.hub.submit(Posted(agent=self.agent, commands=[command], thread_id="t", policy=policy))

    async def act(self, act: str) -> None:
        thread, workers = self.thread, self.hub._runs.workers
        match act:
            case "post":
                await self.post("work", "enqueue")
            case "interrupt" | "rollback":
                await self.post("work", act)
            case "reply" if thread is not None and thread.active is not None and thread.active.asks:
                await self.post("reply", "enqueue")
            case "give up" if self.waits:
                self.waits.pop().cancel()
            case "occupy" if not self.occupied:
                self.occupied = workers.acquire_nowait()
            case "free" if self.occupied:
                self.occupied = False
                workers.release()
            case "cancel" | "drop" if thread is not None:
                await self.hub.cancel("t", queued=act == "drop")
            case "time":
                for run in self.hub._runs:
                    run.check_time(inf)
            case "turn":
                for _ in range(10):
                    await asyncio.sleep(0)
            case _ if thread is not None and thread.active is not None:
                self.todo.put_nowait(act)

    async def finish(self) -> None:
        """Let all runs come to their end."""
        await self.act("free")
        with anyio.fail_after(20):
            while self.hub.runs:
                await self.act("cancel")
                await asyncio.sleep(0.001)
        for task in self.detached:
            task.cancel()
        await asyncio.sleep(0.001)


async def _beside(run: Run) -> None:
    await run.in_thread(lambda: None)


@contextmanager
def impossible() -> Iterator[list[ImpossibleTransition]]:
    """Collect the transitions that are refused."""
    found: list[ImpossibleTransition] = []

    def advanced(*args: Any, **more: Any) -> RunState:
        try:
            return advance(*args, **more)
        except ImpossibleTransition as error:
            found.append(error)
            raise

    with patch("statecast.threads.runs.execution.advance", advanced):
        yield found


@examples(200)
@given(acts=ACTS)
@example(acts=["turn", "wait", "turn", "interrupt", "turn"])
@example(acts=["turn", "wait", "turn", "time", "turn"])
@example(acts=["turn", "wait detached", "turn", "return", "turn"])
@example(acts=["turn", "occupy", "thread detached", "turn", "return", "turn", "free", "turn"])
@example(acts=["turn", "occupy", "thread beside", "thread", "turn", "rollback", "turn"])
def test_whatever_happens_no_impossible_transition_is_tried(acts: Sequence[str]) -> None:
    asyncio.run(_live(acts))


async def _live(acts: Sequence[str]) -> None:
    puppet = Puppet()
    with impossible() as refused:
        await puppet.hub.start()
        for act in ["post", *acts]:
            await puppet.act(act)
        await puppet.finish()
        thread = puppet.thread
        assert thread is not None
        lives: dict[str, list[Status]] = {}
        for entry in thread.log.rest(-1):
            if isinstance(entry, RunEntry):
                lives.setdefault(entry.run.id, ["queued"]).append(entry.run.status)
        await puppet.hub.aclose()
    assert refused == []
    assert lives
    for statuses in lives.values():
        assert all(after in TRANSITIONS[before] for before, after in pairwise(statuses))
        assert statuses[-1] in ENDED
    assert puppet.hub._runs.room._waiting == 0
