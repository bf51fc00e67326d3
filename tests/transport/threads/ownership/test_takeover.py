"""Several processes share a store: a thread has one of them at a time, and another one takes over what it leaves."""

from __future__ import annotations

import asyncio

import pytest

from statecast.stores import Key
from statecast.threads.ownership.leases import HeldElsewhere
from tests.transport.followers import Connection
from tests.transport.held_agent import HOLD, NOTE, held, until
from tests.transport.processes import LEASE, processes

pytestmark = pytest.mark.anyio


async def test_a_thread_belongs_to_one_process_at_a_time() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        with pytest.raises(HeldElsewhere, match=a.name):
            await b.registry.own(Key(None, "t"))
        assert all.holder() == a.name


async def test_an_owner_keeps_its_threads_as_long_as_it_renews_its_claims() -> None:
    async with processes() as all:
        agent, release = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        lease = all.store._leases[Key(None, "t")]
        for _ in range(5):
            all.ticks.now += LEASE * 2 / 3
            await until(lambda: lease.until == all.ticks.now + LEASE)
        assert (lease.token, b.hub.loaded("t")) == (1, None)
        release.set()
        await until(lambda: a.status() == "completed")


async def test_a_run_that_its_process_leaves_is_interrupted_and_the_inbox_goes_on() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        await a.send(NOTE)
        a.line.cut = True
        all.expire()
        await until(lambda: b.owns() and b.status() == "completed")
        assert b.notes() == ["held", "noted"]
        runs = [entry.run.status for entry in b.thread().log.rest(-1) if hasattr(entry, "run")]
        assert runs == ["running", "interrupted", "running", "completed"]


async def test_a_run_of_a_restartable_agent_runs_again() -> None:
    async with processes() as all:
        agent, release = held(restartable=True)
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        a.line.cut = True
        all.expire()
        await until(lambda: b.owns() and b.notes() == ["held", "held"])
        release.set()
        await until(lambda: b.status() == "completed")
        assert b.notes() == ["held", "held", "went on"]


async def test_nothing_of_a_late_owner_is_stored_or_shown() -> None:
    async with processes() as all:
        agent, release = held()
        other, _ = held()
        a, b = await all.start(agent), await all.start(other)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        follower = Connection(a.thread())
        a.hub.follow(a.thread())
        follower.read_all()
        a.line.cut = True
        all.expire()
        await until(lambda: b.status() == "interrupted")
        release.set()  # it does not know yet
        await until(lambda: a.notes() == ["held", "went on"])
        follower.read()
        assert follower.view.state == {"notes": ["held"]}
        a.line.cut = False
        await until(lambda: not a.owns())
        await until(lambda: a.hub.runs == 0)
        assert b.notes() == ["held"]
        assert all.holder() == b.name
        await until(lambda: a.status() == "interrupted")
        follower.read_all()
        assert follower.view.state == {"notes": ["held"]}
        assert follower.view.statuses == ["interrupted"]  # that it was running was in the snapshot
        await b.send(NOTE)
        await until(lambda: b.status() == "completed" and b.stored)
        await until(lambda: a.thread().log.visible == b.thread().log.visible)
        follower.read_all()
        assert follower.view.state == {"notes": ["held", "noted"]}


async def test_a_queue_that_nobody_has_begun_is_taken_over_too() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await a.send(NOTE)
        await a.send(NOTE)
        a.line.cut = True
        all.expire()
        await until(lambda: b.owns() and b.hub.runs == 0 and b.thread().log.visible == b.thread().log.revision)
        assert b.notes() == ["held", "noted", "noted"]


async def test_an_idle_thread_is_given_up_and_claimed_again_without_being_read() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(NOTE)
        await until(lambda: a.status() == "completed")
        loads = a.line.loads
        all.ticks.now += 1.1
        await until(lambda: not a.owns())
        assert all.holder() is None
        await a.send(NOTE)
        await until(lambda: a.notes() == ["noted", "noted"])
        assert (a.token(), a.line.loads) == (2, loads)
        all.ticks.now += 1.1
        await until(lambda: not a.owns())
        await b.send(NOTE)
        await until(lambda: b.notes() == ["noted", "noted", "noted"])
        all.ticks.now += 1.1
        await until(lambda: not b.owns())
        await a.send(NOTE)  # another one wrote meanwhile
        await until(lambda: a.notes() == ["noted", "noted", "noted", "noted"])
        assert a.line.loads == loads + 1


async def test_a_process_that_stops_hands_its_threads_over_at_once() -> None:
    async with processes() as all:
        agent, release = held(restartable=True)
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        await a.send(NOTE)
        await a.send(NOTE, thread_id="idle")
        await until(lambda: a.status("idle") == "completed")
        await a.hub.aclose()
        await until(lambda: b.owns() and b.notes() == ["held", "held"])
        assert all.holder("idle") is None
        release.set()
        await until(lambda: b.status() == "completed" and b.notes() == ["held", "held", "went on", "noted"])


async def test_tokens_grow_across_a_deletion() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(NOTE)
        await until(lambda: a.status() == "completed")
        await a.hub.delete("t")
        all.ticks.now += 1.1
        await until(lambda: all.holder() is None)
        await b.send(NOTE)
        assert b.token() == 2
        await until(lambda: b.notes() == ["noted"])


async def test_of_two_first_requests_to_two_processes_one_makes_the_thread() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await asyncio.gather(a.send({**NOTE, "text": "a"}), b.send({**NOTE, "text": "b"}))
        owner = a if a.owns() else b
        await until(lambda: owner.hub.runs == 0)
        notes = owner.notes()
        assert isinstance(notes, list)
        assert sorted(notes) == ["a", "b"]
        assert all.holder() == owner.name


async def test_an_outage_shorter_than_a_lease_is_no_reason_to_take_over() -> None:
    async with processes() as all:
        agent, release = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        for _ in range(3):
            a.line.cut = True
            await until(lambda: a.registry.journal.failing is not None)
            all.ticks.now += LEASE * 0.9
            a.line.cut = False
            await until(lambda: a.registry.journal.failing is None)
        release.set()
        await until(lambda: a.status() == "completed" and a.stored)
        assert (a.token(), b.hub.loaded("t")) == (1, None)
