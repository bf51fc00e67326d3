"""An owner that cannot reach the store goes on if its token still counts afterwards, and stops if it does not."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from statecast import Agent, Run, UntypedCommand
from statecast.stores import Key, StoreUnavailable
from tests.transport.followers import Connection
from tests.transport.held_agent import HOLD, NOTE, held, note, until
from tests.transport.processes import processes

pytestmark = pytest.mark.anyio


async def test_a_run_goes_on_after_an_outage_in_which_nobody_claimed_its_thread() -> None:
    async with processes() as all:
        agent, release = held()
        a = await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        follower = Connection(a.thread())
        follower.read_all()
        a.line.cut = True
        all.expire()
        release.set()
        await until(lambda: a.notes() == ["held", "went on"])
        await until(lambda: a.registry.journal.failing is not None)
        follower.read()
        assert follower.view.state == {"notes": ["held"]}
        a.line.cut = False
        await until(lambda: a.registry.journal.failing is None and a.stored)
        follower.read_all()
        assert follower.view.state == {"notes": ["held", "went on"]}
        assert (a.token(), a.status()) == (1, "completed")


async def test_nothing_is_accepted_while_claims_cannot_be_renewed() -> None:
    async with processes() as all:
        agent, release = held()
        a = await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        a.line.cut = True
        await until(lambda: a.registry.journal.failing is not None)  # though there is nothing to write
        with pytest.raises(StoreUnavailable):
            await a.send(NOTE)
        with pytest.raises(StoreUnavailable):
            await a.hub.check_ready()
        a.line.cut = False
        await until(lambda: a.registry.journal.failing is None)
        await a.send(NOTE)
        release.set()
        await until(lambda: a.hub.runs == 0)
        assert a.notes() == ["held", "went on", "noted"]


async def test_a_run_fails_when_the_store_is_away_for_too_long() -> None:
    async with processes() as all:
        agent, _ = held()
        a = await all.start(agent, outage_seconds=30)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        a.line.cut = True
        await until(lambda: a.registry.journal.failing is not None and a.hub._supervisor._away is not None)
        all.ticks.now += 31
        await until(lambda: a.hub.runs == 0)
        a.line.cut = False
        await until(lambda: a.registry.journal.failing is None)
        await until(lambda: a.status() == "failed")
        run = a.thread().run
        assert run is not None
        assert run.error is not None
        assert run.error.code == "store_unavailable"


async def test_a_run_fails_when_too_much_of_it_waits_for_the_store() -> None:
    agent = Agent()
    go_on = anyio.Event()

    @agent.on("write")
    async def write(run: Run, command: UntypedCommand) -> None:
        note(run, "begins")
        await go_on.wait()
        for number in range(100):
            note(run, f"{number} {'x' * 100}")
            run.flush()
        await anyio.sleep_forever()

    async with processes() as all:
        a = await all.start(agent, unstored=1_000)
        await a.send({"type": "write"})
        await until(lambda: a.notes() == ["begins"] and a.stored)
        a.line.cut = True
        go_on.set()
        await until(lambda: a.hub.runs == 0)
        a.line.cut = False
        await until(lambda: a.registry.journal.failing is None and a.stored)
        assert a.status() == "failed"


async def test_a_write_whose_confirmation_was_lost_is_not_written_twice() -> None:
    async with processes() as all:
        agent, release = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        a.line.deaf = True
        release.set()
        await until(lambda: a.registry.journal.failing is not None)
        a.line.deaf = False
        await until(lambda: a.stored)
        saved = await all.store.load(Key(None, "t"))
        assert saved is not None
        assert [revision for revision, *_ in saved.entries] == list(range(1, len(saved.entries) + 1))
        assert a.status() == "completed"
        all.ticks.now += 1.1
        await until(lambda: all.holder() is None)
        await b.send(NOTE)
        await until(lambda: b.notes() == ["held", "went on", "noted"])


async def test_a_batch_whose_confirmation_was_lost_runs_once() -> None:
    async with processes() as all:
        agent, _ = held()
        a = await all.start(agent)
        a.line.deaf = True
        with pytest.raises(StoreUnavailable):
            await a.send({**NOTE, "id": "c1"})
        a.line.deaf = False
        await until(lambda: a.registry.journal.failing is None)
        await a.send({**NOTE, "id": "c1"})
        await until(lambda: a.status() == "completed")
        assert a.notes() == ["noted"]


async def test_a_process_that_stood_still_asks_before_it_writes() -> None:
    async with processes() as all:
        agent, release = held()
        a = await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        all.expire()  # it has not renewed, and nobody has claimed the thread
        release.set()
        await until(lambda: a.status() == "completed" and a.stored)
        assert a.token() == 1


async def test_all_threads_are_loaded_anew_in_a_new_epoch_after_a_failover(caplog: pytest.LogCaptureFixture) -> None:
    async with processes() as all:
        agent, _ = held(restartable=True)
        a = await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        epoch = a.thread().epoch
        a.line.cut = True
        await until(lambda: a.registry.journal.failing is not None)
        all.store.name = "another"
        all.expire()
        a.line.cut = False
        await until(lambda: a.owns() and a.token() == 2)
        assert a.thread().epoch != epoch
        await until(lambda: a.notes() == ["held", "held"])
        await until(lambda: a.stored)
        saved = await all.store.load(Key(None, "t"))
        assert saved is not None
        assert saved.epoch == a.thread().epoch
        assert "failed over" in caplog.text


async def test_whichever_call_fails_a_process_asks_which_engine_it_is_before_the_next_claim() -> None:
    async with processes() as all:
        agent, _ = held()
        a = await all.start(agent)
        a.line.cut = True
        with pytest.raises(StoreUnavailable):
            await a.registry.store.summary(Key(None, "t"))
        a.line.cut = False
        all.store.name = "another"
        await a.send(NOTE)
        assert a.registry.leases.identity == "another"


async def test_requests_to_all_processes_take_turns_at_a_name() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        entered = []
        async with a.registry.alone(Key(None, " name")):

            async def enter() -> None:
                async with b.registry.alone(Key(None, " name")):
                    entered.append("b")

            task = asyncio.create_task(enter())
            await until(lambda: task.get_stack())
            entered.append("a")
        await task
        assert entered == ["a", "b"]
