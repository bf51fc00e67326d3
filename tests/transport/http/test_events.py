"""A thread is followed across its runs: in three forms, from any cursor, through any number of lost connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Final, cast

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from statecast import Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.http.response.throttle import RATE, ThrottledReader
from statecast.parts import Parts
from statecast.protocol import Cursor, RunError, RunState
from statecast.stores import Key, MemoryStore
from statecast.testing import TestClient
from statecast.threads import Reader, Thread
from statecast.threads.log.journal import Journal
from statecast.threads.runs.execution import Execution
from statecast_agents import Document
from tests.transport.failing_store import Failing
from tests.transport.followers import PATH, Connection, Follower, following, posted, state_of, until_status
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until

pytestmark = pytest.mark.anyio

FORMATS = ["operations", "json-patch", "snapshot"]
TIGHT: Final = Limits(keep_entries=4, keep_bytes=800, send_bytes=200)
TALK = {"type": "talk"}


def talking() -> tuple[Agent, list[anyio.Event]]:
    """Return an agent that says three words in parts, each when it is let."""
    agent = Agent()
    words = [anyio.Event() for _ in range(3)]

    @agent.on("talk")
    async def talk(run: Run, command: UntypedCommand) -> None:
        for number, word in enumerate(words):
            run.parts.append_text(f"word {number}. ")
            note(run, f"{number}")
            await word.wait()

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, command.body.get("text", "noted"))

    return agent, words


# Forms


@pytest.mark.parametrize("form", FORMATS)
async def test_every_form_tells_the_same(form: str) -> None:
    agent, release = held()
    async with TestClient(agent) as client:
        await client.run(said("hello"), thread_id="t", state={"a": {"b": "text"}, "list": [1, 2]})
        async with (
            following(client, query=f"?format={form}") as follower,
            client.stream("POST", PATH, json=posted(said("more"), HOLD, NOTE)) as response,
        ):
            await response.read_until(b"held")
            await follower.until(lambda view: "notes" in (view.state or ()))
            release.set()
            await response.read()
            await follower.until(lambda view: view.run and view.run["status"] == "completed" and len(view.frames) > 1)
            state = await state_of(client)
            await follower.until(lambda view: view.state == state)
    kinds = {"operations": {"update-state", "run"}, "json-patch": {"patch", "run"}, "snapshot": set()}
    assert set(follower.kinds) == {"snapshot"} | kinds[form]


@pytest.mark.parametrize(
    ("query", "kind"), [("", "update-state"), ("?format=operations", "update-state"), ("?format=json-patch", "patch")]
)
async def test_operations_are_the_default(query: str, kind: str) -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client, query=query) as follower:
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: kind in view.kinds)


@pytest.mark.parametrize("form", ["", "patch", "Operations", "json_patch"])
async def test_a_form_that_is_none_is_refused(form: str) -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        refused = await client.get(f"/threads/t/events?format={form}")
    assert (refused.status, refused.json()["error"]["code"]) == (422, "unknown_format")


async def test_the_stream_is_one_of_server_sent_events() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)
            headers = follower.response.headers
            raw = follower.response.content
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["statecast-thread-id"] == "t"
    assert raw.startswith(b"id: ")
    assert b"event:" not in raw


async def test_without_a_cursor_the_first_frame_is_a_snapshot() -> None:
    async with TestClient(held()[0]) as client:
        ran = await client.run(NOTE, thread_id="t")
        status = (await client.get("/status/t")).json()
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)

    (frame,) = follower.frames
    assert frame == {
        "type": "snapshot",
        "revision": status["revision"],
        "state": {"notes": ["noted"]},
        "run": {"id": ran.headers["statecast-run-id"], "status": "completed"},
    }
    assert follower.cursor == status["cursor"]


# Cursors


async def test_a_reader_goes_on_from_its_cursor() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as first:
            await first.until(lambda view: view.frames)
        await client.run(NOTE, thread_id="t")
        async with following(client, cursor=first.cursor, state=first.state) as second:
            await second.until(lambda view: "completed" in view.statuses)
        async with following(client, state=first.state, query=f"?cursor={first.cursor}") as third:
            await third.until(lambda view: "completed" in view.statuses)

    assert second.kinds == ["run", "update-state", "run"]
    assert second.state == {"notes": ["noted", "noted"]}
    assert third.frames == second.frames


async def test_every_endpoints_cursor_is_a_place() -> None:
    async with TestClient(held()[0]) as client:
        ran = await client.run(NOTE, thread_id="t", state={})
        cursors = [
            (ran.headers["statecast-cursor"], {}),
            ((await client.get("/status/t")).json()["cursor"], {"notes": ["noted"]}),
            ((await client.get("/threads/t/state")).json()["cursor"], {"notes": ["noted"]}),
        ]
        await client.run({**NOTE, "text": "later"}, thread_id="t")
        for cursor, state in cursors:
            async with following(client, cursor=cursor, state=state) as follower:
                await follower.until(lambda view: view.state == {"notes": ["noted", "later"]})
            assert "snapshot" not in follower.kinds


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "-", "x", "0", "-1", "t-1", "deadbeef0000-1", "{epoch}", "{epoch}-", "{epoch}--1", "{epoch}-x"),
        *("{epoch}-1.0", "{epoch}-²", "{epoch}-999999", "{epoch}-" + "9" * 30, "{epoch}-1 ", "%00", "é", "a" * 2_000),
        *("{epoch}-0x1", "{epoch}-+1", "{epoch}-{epoch}-1"),
    ],
)
@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_cursor_that_is_no_place_gets_a_snapshot(cursor: str, where: str) -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        epoch = (await client.get("/status/t")).json()["cursor"].rpartition("-")[0]
        given = cursor.replace("{epoch}", epoch)
        if where == "header":
            async with following(client, cursor=given) as follower:
                await follower.until(lambda view: view.frames)
        else:
            async with following(client, query=f"?cursor={given}") as follower:
                await follower.until(lambda view: view.frames)
    assert follower.kinds == ["snapshot"]
    assert follower.state == {"notes": ["noted"]}


async def test_a_cursor_that_is_too_old_gets_a_snapshot() -> None:
    app = create_app(held()[0], limits=TIGHT)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        old = (await client.get("/status/t")).json()["cursor"]
        for _ in range(10):
            await client.run(NOTE, thread_id="t")
        async with following(client, cursor=old, state={"notes": ["noted"]}) as follower:
            await follower.until(lambda view: view.frames)
    assert follower.kinds == ["snapshot"]
    assert follower.state == {"notes": ["noted"] * 11}


async def test_a_cursor_of_another_thread_gets_a_snapshot() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="other")
        cursor = (await client.get("/status/other")).json()["cursor"]
        await client.run(NOTE, thread_id="t")
        async with following(client, cursor=cursor) as follower:
            await follower.until(lambda view: view.frames)
    assert follower.kinds == ["snapshot"]


async def test_at_the_end_of_the_log_there_is_nothing_to_tell() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        cursor = (await client.get("/status/t")).json()["cursor"]
        async with following(client, cursor=cursor, state={"notes": ["noted"]}) as follower:
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: view.frames)
    assert follower.kinds[0] == "run"


@pytest.mark.parametrize("form", ["json-patch", "snapshot"])
async def test_the_other_forms_begin_with_a_snapshot_whatever_the_cursor(form: str) -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        cursor = (await client.get("/status/t")).json()["cursor"]
        async with following(client, cursor=cursor, query=f"?format={form}") as follower:
            await follower.until(lambda view: view.frames)
    assert follower.kinds == ["snapshot"]


# Any reader, any reconnects: what an uninterrupted one has


ACTS = st.lists(
    st.sampled_from(
        ["set", "grow", "remove", "text", "call", "source", "run", "end", "keep", "read", "read one", "cut", "back"]
    ),
    max_size=80,
)


@given(acts=ACTS, lagging=st.booleans())
def test_any_cursors_and_any_reconnects_are_one_uninterrupted_read(acts: Sequence[str], lagging: bool) -> None:
    asyncio.run(_live_through(acts, lagging=lagging))


async def _live_through(acts: Sequence[str], *, lagging: bool) -> None:
    store = Failing() if lagging else MemoryStore()
    key = Key(None, "t")
    thread = Thread(key, Agent(), Document({"text": ""}), journal=Journal(store), limits=TIGHT)
    if not lagging:
        store.commit_nowait(thread.created())
    state = thread.document.root
    witness = Connection(thread)
    readers = [Connection(thread), Connection(thread), Connection(thread, form="json-patch")]
    parts, runs = Parts(lambda chunk: None), 0

    def emit(run_id: str) -> Parts:
        return Parts(lambda chunk: thread.emit(run_id, chunk))

    def keep() -> None:
        thread.flush()
        if lagging:
            thread.log.show(thread.log.revision)

    def end() -> None:
        if thread.active is not None:
            parts.close()
            thread.record(RunState(thread.active.id, "failed", RunError("x", "y")))
            thread.queue.active = None

    for number, act in enumerate([*acts, "end"]):
        match act:
            case "set":
                state[f"key{number % 3}"] = {"n": number}
            case "grow":
                state["text"] += f"{number} "
            case "remove":
                state.pop(f"key{number % 3}", None)
            case "run":
                end()
                runs += 1
                fake = SimpleNamespace(id=f"run {runs}", begun=True, waits_since=None, start=thread.log.revision)
                thread.queue.active = cast("Execution", fake)
                thread.log.discard_parts()
                thread.record(RunState(fake.id, "running"))
                parts = emit(fake.id)
            case "text" | "call" | "source" if thread.active is not None:
                if act == "text":
                    parts.append_text(f"{number} ")
                elif act == "call":
                    parts.add_tool_call("look", {"n": number})
                else:
                    parts.add_source("https://example.com")
            case "end":
                end()
            case "keep":
                keep()
            case "read" | "read one":
                for reader in readers if act == "read" else [readers[number % 3]]:
                    reader.read()
            case "cut":
                readers[number % 3].cut()
            case "back":
                readers[number % 2].cut(number % 4)
        thread.flush()
        witness.read()
    keep()
    for reader in [witness, *readers]:
        reader.read_all()
    expected = msgspec.json.decode(thread.snapshot()[1])
    for reader in [witness, *readers]:
        view = reader.view
        assert view.state == expected
        assert view.run == witness.view.run
        assert view.texts == witness.view.texts
        assert view.revision == thread.log.revision
    for revisions in (stream for reader in readers for stream in reader.streams):
        assert revisions == sorted(set(revisions))


def _unkept() -> Thread:
    """Return a thread whose store has nothing yet, and has it as far as `show` says."""
    return Thread(Key(None, "t"), Agent(), Document({"n": -1}), journal=Journal(Failing()), limits=TIGHT)


def _grow(thread: Thread, times: int) -> None:
    for number in range(times):
        thread.document.root["n"] = number
        thread.document.root[f"key{number}"] = number
        thread.flush()


async def test_a_snapshot_that_had_to_wait_for_the_store_may_be_far_behind_and_nothing_is_missed() -> None:
    thread = _unkept()
    _grow(thread, 1)
    connection = Connection(thread)
    connection.read()
    assert connection.view.frames == []
    _grow(thread, 30)
    thread.log.show(thread.log.revision)
    connection.read_all()
    assert connection.view.state == msgspec.json.decode(thread.snapshot()[1])


async def test_a_snapshot_that_had_to_wait_for_the_store_still_begins_the_parts_that_go_on() -> None:
    thread = _unkept()
    thread.log.show(0)
    parts = Parts(lambda chunk: thread.emit("one", chunk))
    thread.record(RunState("one", "running"))
    parts.append_text("a ")
    _grow(thread, 4)
    connection = Connection(thread)
    connection.read()
    assert connection.view.frames == []
    parts.append_text("b ")
    parts.close()
    thread.record(RunState("one", "completed"))
    thread.log.discard_parts()
    thread.log.show(thread.log.revision - 1)
    connection.read_all()
    assert connection.view.texts == ["a b "]
    thread.record(RunState("two", "running"))
    thread.log.show(thread.log.revision)
    connection.read_all()
    assert connection.view.texts == []


# Streams that last


async def test_a_stream_stays_open_across_runs() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            ran = [await client.run({**NOTE, "text": text}, thread_id="t") for text in ("a", "b")]
            await follower.until(lambda view: view.statuses.count("completed") == 2)

    assert follower.state == {"notes": ["noted", "a", "b"]}
    assert follower.kinds == ["snapshot", *["run", "update-state", "run"] * 2]
    ids = [frame["run"]["id"] for frame in follower.frames if frame["type"] == "run"]
    assert ids == [result.headers["statecast-run-id"] for result in ran for _ in range(2)]


async def test_cursors_are_unique_and_grow() -> None:
    async with TestClient(talking()[0]) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            for _ in range(5):
                await client.run(NOTE, NOTE, thread_id="t")
            await follower.until(lambda view: view.statuses.count("completed") == 5)
    parsed = [Cursor.parse(cursor) for cursor in follower.cursors]
    assert None not in parsed
    revisions = [cursor.revision for cursor in parsed if cursor]
    assert revisions == sorted(set(revisions)) == [frame["revision"] for frame in follower.frames]
    assert len({cursor.epoch for cursor in parsed if cursor}) == 1


async def test_a_failed_run_says_why() -> None:
    agent = Agent()

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        raise LookupError("the password is hunter2")

    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        logging.disable()
        try:
            async with following(client) as follower:
                await client.run({"type": "fail"}, thread_id="t")
                await follower.until(lambda view: "failed" in view.statuses)
        finally:
            logging.disable(logging.NOTSET)
    assert follower.run
    assert follower.run["error"] == {
        "code": "agent_failed",
        "message": "The agent failed. The reason is in the server's log.",
    }


async def test_several_followers_of_all_forms_end_with_the_same_state() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE, thread_id="t", state={"a": "x"})
        async with (
            following(client) as one,
            following(client, query="?format=json-patch") as two,
            following(client, query="?format=snapshot") as three,
        ):
            await client.run(said("hello"), NOTE, thread_id="t")
            state = await state_of(client)
            for follower in (one, two, three):
                await follower.until(lambda view: view.state == state)


# Message parts


async def test_who_joins_in_the_middle_of_a_run_gets_its_parts_so_far() -> None:
    agent, words = talking()
    async with TestClient(agent) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as steady, client.stream("POST", PATH, json=posted(TALK)) as response:
            await response.read_until(b"word 0")
            words[0].set()
            await response.read_until(b"word 1")
            async with following(client) as late:
                await late.until(lambda view: view.frames)
                assert late.kinds == ["snapshot"]
                assert late.texts == ["word 0. word 1. "]
                assert late.run
                assert late.run["status"] == "running"
                words[1].set()
                words[2].set()
                await response.read()
                for follower in (late, steady):
                    await follower.until(lambda view: "completed" in view.statuses)
    assert late.texts == steady.texts == ["word 0. word 1. word 2. "]
    assert late.parts == steady.parts


async def test_who_reconnects_in_the_middle_of_a_part_misses_nothing_of_it() -> None:
    agent, words = talking()
    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        async with client.stream("POST", PATH, json=posted(TALK)) as response:
            async with following(client) as first:
                await first.until(lambda view: view.texts == ["word 0. "])
            words[0].set()
            words[1].set()
            await response.read_until(b"word 2")
            async with following(client, cursor=first.cursor, state=first.state) as second:
                second.parts, second.run = dict(first.parts), first.run
                words[2].set()
                await response.read()
                await second.until(lambda view: "completed" in view.statuses)
    assert "snapshot" not in second.kinds
    assert second.texts == ["word 0. word 1. word 2. "]


async def test_parts_of_a_later_run_are_numbered_anew() -> None:
    agent, words = talking()
    for word in words:
        word.set()
    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            for _ in range(2):
                await client.run(TALK, thread_id="t")
            await follower.until(lambda view: view.statuses.count("completed") == 2)
    paths = [frame["path"] for frame in follower.frames if frame["type"] == "text-delta"]
    assert paths == [[0]] * 6
    assert len({frame["runId"] for frame in follower.frames if frame["type"] == "part-start"}) == 2


async def test_who_joins_after_a_run_gets_the_parts_of_the_latest() -> None:
    agent, words = talking()
    for word in words:
        word.set()
    async with TestClient(agent) as client:
        for _ in range(2):
            ran = await client.run(TALK, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)
    assert follower.texts == ["word 0. word 1. word 2. "]
    assert {run for run, _ in follower.parts} == {ran.headers["statecast-run-id"]}


async def test_parts_of_every_kind_are_frames() -> None:
    agent = Agent()

    @agent.on("talk")
    async def talk(run: Run, command: UntypedCommand) -> None:
        run.parts.append_reasoning("hm")
        call = run.parts.add_tool_call("look", {"n": 1}, id="c1")
        call.set_result(2)
        run.parts.add_source("https://example.com", id="s1")
        run.parts.add_data(1, 2)
        run.parts.add_error("careful", severity="warning")

    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            ran = await client.run(TALK, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)

    frames = [frame for frame in follower.frames if "path" in frame]
    assert [(frame["type"], frame["path"]) for frame in frames] == [
        ("part-start", []),
        ("text-delta", [0]),
        ("part-finish", [0]),
        ("part-start", []),
        ("text-delta", [1]),
        ("tool-call-args-text-finish", [1]),
        ("result", [1]),
        ("part-finish", [1]),
        ("part-start", []),
        ("part-finish", [2]),
        ("data", []),
        ("error", []),
    ]
    assert {frame["runId"] for frame in frames} == {ran.headers["statecast-run-id"]}


# At the edges


async def test_a_quiet_stream_gets_heartbeats() -> None:
    app = create_app(held()[0], limits=Limits(heartbeat_seconds=0.01))
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            await follower.response.read_until(b": \n\n: \n\n")
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)


@pytest.mark.parametrize("thread_id", ["unknown", "t"])
async def test_an_unknown_thread_is_refused(thread_id: str) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.get(f"/threads/{thread_id}/events")
    assert (refused.status, refused.json()["error"]["code"]) == (404, "unknown_thread")


async def test_an_id_that_is_none_is_refused() -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.get("/threads/a%20b/events")
    assert (refused.status, refused.json()["error"]["code"]) == (422, "invalid_thread_id")


async def test_nobody_follows_a_thread_of_another_owner() -> None:
    async def who(request: HTTPConnection) -> str | None:
        return request.headers["authorization"]

    app = create_app(held()[0], identify=who)
    async with TestClient(app) as client:
        await client.post(PATH, json=posted(NOTE), headers={"authorization": "ann"})
        cursor = (await client.get("/status/t", headers={"authorization": "ann"})).json()["cursor"]
        for headers in ({}, {"last-event-id": cursor}):
            refused = await client.get("/threads/t/events", headers={**headers, "authorization": "bob"})
            assert (refused.status, refused.json()["error"]["code"]) == (404, "unknown_thread")


async def test_the_end_of_the_server_ends_the_stream_behind_what_there_is() -> None:
    agent, _ = held()
    app = create_app(agent)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        async with following(client) as follower, anyio.create_task_group() as tasks:
            await follower.until(lambda view: view.frames)
            tasks.start_soon(app.hub.aclose)
            tasks.start_soon(response.read)
            await follower.to_end()
    assert follower.statuses == ["interrupted"]
    assert follower.run
    assert follower.run["error"]["code"] == "run_interrupted"


async def test_a_reader_that_is_slow_gets_a_snapshot_and_misses_nothing() -> None:
    app = create_app(talking()[0], limits=TIGHT)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as slow:
            await slow.until(lambda view: view.frames)
            for number in range(20):
                await client.run({**NOTE, "text": f"{number}"}, thread_id="t")
            state = await state_of(client)
            await slow.until(lambda view: view.state == state and view.run and view.run["status"] == "completed")
    assert slow.kinds.count("snapshot") >= 2
    assert len(slow.frames) < 20


async def test_a_reader_that_never_reads_slows_nobody() -> None:
    app = create_app(talking()[0], limits=TIGHT)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client), following(client) as steady:
            await steady.until(lambda view: view.frames)
            for _ in range(20):
                await client.run(NOTE, thread_id="t")
            await steady.until(lambda view: view.state == {"notes": ["noted"] * 21})


async def test_a_reader_that_has_gone_is_forgotten() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)
            assert _readers(app) == 1
        await until(lambda: _readers(app) == 0)


def _readers(app: App) -> int:
    thread = app.hub.loaded("t")
    assert thread
    return thread.readers


async def test_nothing_is_shown_before_it_is_kept() -> None:
    store = Failing()
    agent, release = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)
            async with client.stream("POST", PATH, json=posted(HOLD)) as response:
                await response.read_until(b"held")
                await follower.until(lambda view: view.state == {"notes": ["noted", "held"]})
                store.go = anyio.Event()
                release.set()
                thread = app.hub.loaded("t")
                assert thread
                await until(lambda: thread.log.revision > thread.log.visible)
                async with following(client, cursor=follower.cursor, state=follower.state) as second:
                    shown = thread.log.visible
                    store.go.set()
                    await response.read()
                    for view in (follower, second):
                        await view.until(lambda view: "completed" in view.statuses)
    assert shown < thread.log.revision
    assert follower.state == second.state == {"notes": ["noted", "held", "went on"]}
    assert _kept_in_order(follower)


def _kept_in_order(follower: Follower) -> bool:
    revisions = [frame["revision"] for frame in follower.frames]
    return revisions == sorted(revisions)


async def test_a_thread_that_has_never_run_is_followed_too() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(thread_id="t", state={"a": 1})
        async with following(client) as follower:
            await follower.until(lambda view: view.frames)
            assert follower.frames == [{"type": "snapshot", "revision": 0, "state": {"a": 1}}]
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)
            await until_status(client, "completed")
    assert follower.state == {"a": 1, "notes": ["noted"]}


async def test_patches_are_gathered_and_nothing_is_lost() -> None:
    agent = Agent(initial={"text": "", "count": 0}, commands=["grow"])
    seen = anyio.Event()

    @agent.on("grow")
    async def grow(run: Run, command: UntypedCommand) -> None:
        for number in range(200):
            run.state["text"] += "word "
            run.state["count"] = number
            await asyncio.sleep(0)
        run.messages.assistant().append_text("over")
        await seen.wait()
        run.state["text"] += "end"

    async with TestClient(create_app(agent, limits=Limits(state_frames=0.001))) as client:
        await client.run(thread_id="t")
        async with following(client, query="?format=json-patch") as follower:
            await follower.until(lambda view: view.state)
            async with client.stream("POST", PATH, json=posted({"type": "grow"})) as response:
                await response.read_until(b"over")
                seen.set()
                await response.read()
            await follower.until(lambda view: view.state and view.state["text"].endswith("end"))
            state = await state_of(client)

    assert follower.state == state
    assert state["text"] == "word " * 200 + "end"
    assert follower.kinds.count("patch") <= 3


class Growing:
    """An encoder whose text grows, and is told whole each time."""

    held = True

    def __init__(self) -> None:
        self.size = 0

    def release(self) -> bytes:
        self.size += 100_000
        return b"x" * self.size


async def test_the_longer_a_text_that_is_repeated_the_less_often_it_leaves() -> None:
    now = 0.0
    quiet = cast("Reader", SimpleNamespace(take=lambda: b"", finished=False))
    reader = ThrottledReader(quiet, Growing(), 0.05)
    reader._clock = lambda: now
    reader._due = 0.0
    left = 0
    for tick in range(20_000):
        now = tick / 1_000
        left += len(reader.take())

    assert left <= 20 * 1.2 * RATE
