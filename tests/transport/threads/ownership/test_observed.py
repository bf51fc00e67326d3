"""What observers learn where several processes share a store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from statecast.threads import ObservedRun, Observer, Posted
from tests.transport.held_agent import HOLD, NOTE, held, until
from tests.transport.processes import Process, processes

pytestmark = pytest.mark.anyio

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


class Witness(Observer):
    """Notes what it learns of a process."""

    def __init__(self, process: Process) -> None:
        self.accepted: list[ObservedRun] = []
        self.fenced = self.taken_over = self.calls = 0
        process.hub.observer.add(self)

    def run_accepted(self, run: ObservedRun) -> None:
        self.accepted.append(run)

    def thread_fenced(self) -> None:
        self.fenced += 1

    def thread_taken_over(self) -> None:
        self.taken_over += 1

    def called_elsewhere(self) -> None:
        self.calls += 1


def posted(process: Process, command: dict[str, Any]) -> Posted:
    return Posted(agent=process.agent, commands=[msgspec.json.encode(command)], thread_id="t", trace=TRACE)


async def test_the_trace_of_a_request_reaches_the_process_that_holds_its_thread() -> None:
    async with processes() as all:
        agent, release = held()
        a, b = await all.start(agent), await all.start(agent)
        here, there = Witness(a), Witness(b)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        await b.hub.submit(posted(b, NOTE))
        assert (there.calls, here.calls, there.accepted) == (1, 0, [])
        assert [run.trace for run in here.accepted] == [{}, TRACE]
        release.set()
        await until(lambda: a.status() == "completed")


async def test_a_run_that_another_process_takes_over_keeps_its_trace() -> None:
    async with processes() as all:
        agent, release = held(restartable=True)
        a, b = await all.start(agent), await all.start(agent)
        here, there = Witness(a), Witness(b)
        await a.hub.submit(posted(a, HOLD))
        await until(lambda: a.notes() == ["held"] and a.stored)
        a.line.cut = True
        all.expire()
        await until(lambda: b.owns() and b.notes() == ["held", "held"])
        (run,) = there.accepted
        assert (run.id, run.trace, run.tries > 0) == (here.accepted[0].id, TRACE, True)
        assert (there.taken_over, here.taken_over) == (1, 0)
        a.line.cut = False
        await until(lambda: here.fenced == 1)
        release.set()
        await until(lambda: b.status() == "completed")
