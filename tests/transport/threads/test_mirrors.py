"""Mirrors: threads that another process writes, followed from the store."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from statecast import Agent, Limits, Run, UntypedCommand, create_app
from statecast.protocol import PROTOCOLS
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.stores import Key, MemoryStore, SharedStore, Sharing
from statecast.testing import TestClient
from statecast.threads import Thread
from statecast.threads.log.journal import Journal
from statecast.threads.mirror import extend, lose, mirror, place_of, reload
from statecast_agents import Document
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = [pytest.mark.anyio]

T = Key(None, "t")


async def mirrored(store: SharedStore, agent: Agent, limits: Limits | None = None) -> Thread:
    """Return a mirror of the thread `t`."""
    saved = await store.load(T)
    assert saved is not None
    thread = Thread.restore(saved, agent, journal=Journal(store), limits=limits or Limits())
    mirror(thread, saved.inbox)
    return thread


async def follow(store: SharedStore, thread: Thread) -> None:
    """Bring a mirror up to date."""
    while tails := await store.tails({thread.key: place_of(thread)}):
        (tail,) = tails
        if not extend(thread, tail, thread.agent):
            saved = await store.load(thread.key)
            assert saved is not None
            reload(thread, saved, thread.agent)


def state_of(thread: Thread) -> Any:
    return msgspec.json.decode(thread.snapshot()[1])


async def test_a_mirror_has_the_state_the_run_and_the_queue() -> None:
    agent, release = held()
    store = Sharing(MemoryStore())
    app = create_app(agent, store=store)
    async with TestClient(app) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(client.run(HOLD, state=None, thread_id="t"))
        owner = app.hub.loaded
        await until(lambda: (thread := owner("t")) is not None and thread.active is not None and thread.active.begun)
        tasks.create_task(client.run(NOTE, thread_id="t"))
        await until(lambda: (thread := owner("t")) is not None and thread.queue.stored_runs)
        original = owner("t")
        assert original is not None
        assert original.active is not None
        other = await mirrored(store, agent)
        await follow(store, other)
        assert state_of(other) == state_of(original) == {"notes": ["held"]}
        assert other.run == original.run
        assert other.active is not None
        assert other.active.id == original.active.id
        assert other.queue.as_json() == original.queue.as_json() != b"[]"
        reader = other.follow(EventsEncoder(other.epoch), revision=other.log.revision, endless=True)
        stream = other.follow(PROTOCOLS["data-stream"](None), revision=0, snapshot=True, until=other.inbox[0].id)
        release.set()
        await until(lambda: not original.busy and app.hub.registry.journal.all_stored)
        await follow(store, other)
        assert state_of(other) == state_of(original) == {"notes": ["held", "went on", "noted"]}
        assert not other.busy
        assert other.run == original.run
        assert other.queue.as_json() == b"[]"
        assert b"went on" in reader.take()
        assert b"noted" in stream.take()
        assert stream.finished


async def test_a_run_that_waits_ends_the_streams_of_its_mirrors() -> None:
    agent = Agent(commands=["go"])

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        run.state = {"asked": True}
        await run.wait_for("go")
        run.state["went"] = True

    store = Sharing(MemoryStore())
    app = create_app(agent, store=store)
    async with TestClient(app) as client:
        await client.run({"type": "ask"}, state=None, thread_id="t")
        other = await mirrored(store, agent)
        assert other.active is not None
        assert other.waits
        assert other.active.asks
        stream = other.follow(PROTOCOLS["data-stream"](None), revision=0, snapshot=True, until=other.active.id)
        assert b"asked" in stream.take()
        assert stream.finished
        await client.run({"type": "go"}, thread_id="t")
        await follow(store, other)
        assert not other.waits
        assert state_of(other) == {"asked": True, "went": True}


async def test_a_mirror_that_was_left_behind_is_loaded_and_its_readers_get_a_snapshot() -> None:
    agent, _ = held()
    limits = Limits(keep_bytes=1_000, keep_entries=4)
    store = Sharing(MemoryStore())
    app = create_app(agent, store=store, limits=limits)
    async with TestClient(app) as client:
        await client.run(NOTE, state=None, thread_id="t")
        other = await mirrored(store, agent, limits)
        reader = other.follow(EventsEncoder(other.epoch), revision=other.log.revision, endless=True)
        for number in range(20):
            await client.run({"type": "note", "text": f"{number} {'x' * 100}"}, thread_id="t")
        await follow(store, other)
        original = app.hub.loaded("t")
        assert original is not None
        assert state_of(other) == state_of(original)
        assert b'"type":"snapshot"' in reader.take()


async def test_what_was_never_stored_is_gone_from_a_thread_that_is_lost() -> None:
    agent = Agent()
    store = Sharing(MemoryStore())
    thread = Thread(T, agent, Document({"n": 0}), journal=Journal(store), limits=Limits())
    await store.commit(thread.created())
    reader = thread.follow(EventsEncoder(thread.epoch), revision=0, endless=True)
    late = thread.follow(EventsEncoder(thread.epoch), revision=0, snapshot=True, endless=True)
    thread.document.root["n"] = 1
    assert thread.snapshot() == (1, b'{"n":1}')
    assert late.take() == b""  # nothing before it is stored
    lose(thread)
    assert (reader.take(), late.take()) == (b"", b"")
    saved = await store.load(T)
    assert saved is not None
    reload(thread, saved, agent)
    assert reader.take() == b""
    assert b'"state":{"n":0}' in late.take()


async def test_readers_of_another_epoch_get_a_snapshot() -> None:
    agent = Agent()
    store = Sharing(MemoryStore())
    thread = Thread(T, agent, Document({"n": 0}), journal=Journal(store), limits=Limits())
    await store.commit(thread.created())
    reader = thread.follow(EventsEncoder(thread.epoch), revision=0, endless=True)
    saved = await store.load(T)
    assert saved is not None
    reload(thread, msgspec.structs.replace(saved, epoch="renewed"), agent)
    assert thread.epoch == "renewed"
    data = reader.take()
    assert b"id: renewed-0" in data
    assert b'"state":{"n":0}' in data
