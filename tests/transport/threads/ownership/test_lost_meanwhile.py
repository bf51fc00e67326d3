"""A thread may be lost, or given up, at any moment of a request: the answer says what is so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from statecast.protocol.errors import RequestError
from statecast.stores import Assigned, BatchAccepted, Deleted, Key, SavedThread, StoreUnavailable
from statecast.stores.shared import SharedChange
from statecast.threads.admission import Admission
from statecast.threads.offload import offload
from statecast.threads.records.client_messages import rewrite
from tests.transport.followers import Connection
from tests.transport.held_agent import HOLD, NOTE, held, until
from tests.transport.processes import Process, processes

pytestmark = pytest.mark.anyio

T = Key(None, "t")


async def noted(process: Process, thread_id: str = "t") -> None:
    """Make a thread with a note, and wait until all of it is stored."""
    await process.send(NOTE, thread_id=thread_id)
    await until(lambda: process.status(thread_id) == "completed" and process.stored)


async def test_a_thread_that_was_lost_in_a_pause_is_still_found() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await noted(a)
        a.line.cut = True
        all.expire()
        await noted(b)
        assert a.owns()  # it does not know yet, and nobody follows the thread there
        a.line.cut = False
        await a.hub.find("t")
        assert a.notes() == ["noted", "noted"]


async def test_a_thread_that_another_process_made_in_a_pause_is_found_before_its_own_first_batch_is_refused() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        write, begun, goes_on = a.registry.leases.write, asyncio.Event(), asyncio.Event()

        async def late(changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
            begun.set()
            await goes_on.wait()
            return await write(changes)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(a.registry.leases, "write", late)
            sending = asyncio.create_task(a.send(NOTE))
            await begun.wait()
            a.line.cut = True
            all.expire()
            await noted(b)
            a.line.cut = False
            found = asyncio.create_task(a.hub.known("t"))
            await asyncio.wait({found}, timeout=1)
            goes_on.set()
            await sending
        assert await found is not None
        await until(lambda: b.notes() == ["noted", "noted"])


async def test_of_several_requests_for_a_thread_that_the_store_has_lost_one_makes_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def take_a_turn(self: Admission, key: Key) -> None:
        await asyncio.sleep(0.01)

    monkeypatch.setattr(Admission, "check_free", take_a_turn)
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await noted(a)
        await b.hub.find("t")
        a.line.cut = True
        all.expire()
        await all.store.store.commit([Deleted(T)])
        await asyncio.gather(*(b.send(NOTE) for _ in range(3)))
        await until(lambda: b.status() == "completed" and b.stored)
        assert b.notes() == ["noted"] * 3


async def test_nobody_denies_a_new_thread_that_others_see_already() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        a.line.deaf = True
        sending = asyncio.create_task(a.send(NOTE))
        await until(lambda: a.registry.journal.failing)
        assert await b.hub.known("t") is not None
        with pytest.raises(StoreUnavailable):
            await a.hub.known("t")
        a.line.deaf = False
        with pytest.raises(StoreUnavailable):
            await sending
        await until(lambda: a.status() == "completed")
        assert await a.hub.known("t") is not None


@pytest.mark.parametrize("number", [0, 1])
async def test_a_thread_is_moved_once_nobody_holds_what_it_becomes(number: int) -> None:
    async with processes() as all:
        agent, _ = held()
        both = await all.start(agent), await all.start(agent)
        await noted(both[0])
        mine = Key("me", "t")
        await both[number].registry.own(mine)  # as a request does that comes a moment too early
        moving = asyncio.create_task(both[0].hub.move(None, "me"))
        await asyncio.sleep(0.1)
        assert not moving.done()
        all.ticks.now += 1.1
        assert await moving == 1
        assert await all.store.load(T) is None
        assert await all.store.load(mine) is not None


async def test_a_thread_that_was_lost_before_its_deletion_was_written_is_deleted_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await noted(a)
        write, begun, goes_on = a.registry.leases.write, asyncio.Event(), asyncio.Event()

        async def late(changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
            if any(isinstance(change, Deleted) for change in changes):
                begun.set()
                await goes_on.wait()
            return await write(changes)

        monkeypatch.setattr(a.registry.leases, "write", late)
        deleting = asyncio.create_task(a.hub.delete("t"))
        await begun.wait()
        a.line.cut = True
        all.expire()
        await noted(b)
        a.line.cut = False
        goes_on.set()
        await deleting
        assert await all.store.load(T) is None


async def test_a_thread_that_is_lost_while_its_deletion_stops_a_run_is_deleted_where_it_is_held() -> None:
    async with processes() as all:
        agent, _ = held(cancel_grace=5.0)
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        await a.send(NOTE)
        deleting = asyncio.create_task(a.hub.delete("t"))
        await until(lambda: not a.thread().inbox)
        a.line.cut = True
        all.expire()
        await until(lambda: b.owns())
        a.line.cut = False
        await deleting
        assert await all.store.load(T) is None


async def test_messages_are_not_written_to_a_thread_that_was_given_up_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with processes() as all:
        agent, _ = held()
        a = await all.start(agent)
        await noted(a)

        async def slow(*args: Any) -> Any:
            await a.registry._release([T])  # as when it stops
            return await offload(*args)

        monkeypatch.setattr("statecast.threads.records.client_messages.offload", slow)
        thread = await a.registry.own(T)
        assert thread is not None
        with pytest.raises(RequestError, match="taken over"):
            await rewrite(thread, [], 2)


async def test_commands_without_ids_are_applied_once_although_their_thread_is_lost_before_they_are_confirmed() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await noted(a)
        write, written, goes_on = a.registry.leases.write, asyncio.Event(), asyncio.Event()

        async def slow(changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
            refused = await write(changes)
            written.set()
            await goes_on.wait()
            return refused

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(a.registry.leases, "write", slow)
            sending = asyncio.create_task(a.send(NOTE))
            await written.wait()
            a.line.cut = True
            all.expire()
            await until(lambda: b.owns() and b.status() == "completed" and b.stored)
            a.line.cut = False
            await until(lambda: not a.owns())
            goes_on.set()
            submission = await sending
        await until(lambda: b.hub.runs == 0 and not all.store._posts)
        assert b.notes() == ["noted", "noted"]
        latest = b.thread().last_run
        assert latest is not None
        assert submission.run_id == latest.id


async def test_commands_without_ids_are_applied_once_although_their_call_is_read_again_before_it_is_stored() -> None:
    async with processes() as all:
        agent, release = held()
        a, b = await all.start(agent), await all.start(agent)
        await a.send(HOLD)
        await until(lambda: a.notes() == ["held"] and a.stored)
        write, kept = a.registry.leases.write, asyncio.Event()

        async def keep(changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
            if any(isinstance(change, BatchAccepted) for change in changes) and not kept.is_set():
                raise StoreUnavailable
            return await write(changes)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(a.registry.leases, "write", keep)
            sending = asyncio.create_task(b.send(NOTE))
            await until(lambda: a.registry.journal.failing)
            a.registry.journal.worked()  # as when other threads are written again before this one
            elsewhere = a.hub._elsewhere
            assert elsewhere is not None
            await elsewhere._asking._answer()
            await asyncio.sleep(0)
            kept.set()
            await sending
        release.set()
        await until(lambda: a.hub.runs == 0)
        assert a.notes() == ["held", "went on", "noted"]


async def test_a_mirror_does_not_go_back_to_what_was_read_before_its_thread_was_written_to() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        await noted(b)
        all.ticks.now += 1.1
        await until(lambda: not b.owns())
        thread = await a.hub.find("t")
        follower = Connection(thread)
        follower.read()
        elsewhere = a.hub._elsewhere
        assert elsewhere is not None
        goes_on = asyncio.Event()
        with pytest.MonkeyPatch.context() as patched:

            async def slow(key: Key) -> SavedThread | None:
                saved = await all.store.load(key)
                await goes_on.wait()
                return saved

            patched.setattr(a.registry.shared, "load", slow)
            reading = asyncio.create_task(elsewhere.mirrors._reload(thread))
            await asyncio.sleep(0.01)
        await noted(a)
        follower.read()
        all.ticks.now += 1.1
        await until(lambda: not a.owns())
        before = thread.log.visible
        goes_on.set()
        await reading
        assert thread.log.visible == before
        follower.read()
        assert follower.view.state == {"notes": ["noted", "noted"]}


async def test_a_thread_of_an_agent_that_is_not_served_here_keeps_no_other_from_being_read() -> None:
    async with processes() as all:
        agent, _ = held()
        a, b = await all.start(agent), await all.start(agent)
        names = ["bad", *(f"good{number}" for number in range(3))]
        threads = []
        for name in names:
            await a.send(HOLD, thread_id=name)
            await until(lambda: a.status(name) == "running" and a.stored)  # noqa: B023
            threads.append(a.thread(name))
            Connection(threads[-1])
            a.hub.follow(threads[-1])
        a.line.cut = True
        all.expire()
        await until(lambda: all_interrupted(b, names))
        await all.store.commit([Assigned(Key(None, "bad"), "another")])
        a.line.cut = False
        await until(lambda: all_interrupted(a, names[1:]))
        await until(lambda: threads[0].gone)  # its streams have ended: whoever comes again learns why
        assert [thread.gone for thread in threads[1:]] == [False] * 3


def all_interrupted(process: Process, names: Sequence[str]) -> bool:
    """Return whether the runs of threads were interrupted, and all of it is stored."""
    return all(process.status(name) == "interrupted" for name in names) and process.stored
