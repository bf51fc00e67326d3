"""A thread is followed through whatever breaks, and what is seen is what the server has."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import App, Limits, create_app
from statecast.client import Change, Client, ClientError, ConnectionLost, Refused, Thread
from statecast.state import operations
from tests.client.agents import HOLD, make
from tests.client.network import PATIENCE, events, http, proxied, scripted, serving, until

pytestmark = pytest.mark.anyio


def app(**settings: Any) -> App:
    return create_app(make()[0], **settings)


def check(changes: Sequence[Change]) -> None:
    """Check what holds for every follower: no cursor comes twice, and the operations lead from state to state."""
    cursors = [change.cursor for change in changes]
    assert len(set(cursors)) == len(cursors)
    state = None
    for change in changes:
        state = operations.apply(state, change.operations)
        assert state == change.state


def broken(trouble: list[ClientError | None]) -> int:
    return sum(error is not None for error in trouble)


@contextlib.asynccontextmanager
async def following(thread: Thread, **how: Any) -> AsyncIterator[list[Change]]:
    """Follow beside the test, and yield the list that grows by every change."""
    changes: list[Change] = []

    async def follow() -> None:
        async for change in thread.follow(**how):
            changes.append(change)  # noqa: PERF401  # at once, not in the end

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        yield changes
        tasks.cancel_scope.cancel()


def ended(changes: Sequence[Change], run_id: str) -> bool:
    return any(change.run is not None and change.run.id == run_id and change.run.ended for change in changes)


async def test_a_thread_is_there_first_and_then_its_changes() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread()
        await thread.ask({"type": "note", "text": "a"})
        async with following(thread) as changes:
            await until(lambda: changes)
            before = changes[0]
            accepted = await thread.send({"type": "write", "count": 200})
            await until(lambda: ended(changes, accepted.run_id))
        now = await thread.state()
    assert before.state["notes"] == ["a"]  # as it was
    assert [operation.path for operation in before.operations] == [()]
    assert changes[-1].state == now.state
    assert "199 bees\u2028\r " in now.state["text"]
    assert len(changes) > 10
    assert sum(operation.path == () for change in changes for operation in change.operations) == 1
    statuses = [change.run.status for change in changes[1:] if change.run is not None and not change.operations]
    assert statuses == ["running", "completed"]
    check(changes)


@pytest.mark.parametrize("size", [1, 700, 5_000])
async def test_a_stream_that_is_cut_again_and_again_loses_nothing(size: int) -> None:
    agent, gate = make()
    async with (
        serving(create_app(agent)) as server,
        proxied(server) as proxy,
        Client(server.url) as straight,
        Client(proxy.url) as client,
    ):
        thread = straight.thread("t")
        await thread.ask({"type": "note", "text": "a"})
        async with following(thread) as all_changes, following(client.thread("t")) as changes:
            await until(lambda: changes)
            proxy.cuts_after = 300 + size
            proxy.cut()
            accepted = await thread.send({"type": "write", "count": 300}, {"type": "speak"})
            await until(lambda: any(change.parts for change in changes) or proxy.connections > 30)
            if size == 1:
                proxy.cuts_after = None  # a snapshot would never get through
            gate.set()
            await until(lambda: ended(all_changes, accepted.run_id))
            proxy.cuts_after = None
            await until(lambda: ended(changes, accepted.run_id))
    check(changes)
    check(all_changes)
    known = {change.cursor: change for change in all_changes}
    for change in changes:
        assert change.state == known[change.cursor].state
        assert change.run == known[change.cursor].run
        assert list(change.parts) == list(known[change.cursor].parts)
    assert [part["type"] for part in changes[-1].parts] == ["reasoning", "text", "tool-call"]
    assert proxy.connections > 2


async def test_message_parts_grow() -> None:
    agent, gate = make()
    gate.set()
    async with serving(create_app(agent)) as server, Client(server.url) as client:
        thread = client.thread()
        last = await thread.ask({"type": "speak"})
        assert list(last.parts) == [
            {"type": "reasoning", "text": "hm"},
            {"type": "text", "text": "0 1 2 3 4 5 6 7 8 9 "},
            {
                "type": "tool-call",
                "toolCallId": last.parts[2]["toolCallId"],
                "toolName": "look",
                "argsText": '{"at":1}',
                "result": "seen",
                "isError": False,
            },
        ]
        again = await anext(thread.follow())
        assert list(again.parts) == list(last.parts)
        nothing = await thread.ask({"type": "note", "text": "a"})
        assert list(nothing.parts) == []


async def test_a_server_that_comes_back_with_its_store_goes_on_where_it_was(tmp_path: Path) -> None:
    trouble: list[ClientError | None] = []
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    async with serving(app(store=store)) as server, Client(server.url, on_trouble=trouble.append) as client:
        thread = client.thread("t")
        first = await thread.send({"type": "note", "text": "before"}, HOLD)
        async with following(thread) as changes:
            await until(lambda: changes and changes[-1].state["notes"] == ["before", "held"])
            await server.stop()
            await until(lambda: broken(trouble))
            await server.start(app(store=store))
            second = await thread.send({"type": "note", "text": "after"})
            await until(lambda: ended(changes, second.run_id))
        now = await thread.state()
    check(changes)
    interrupted = next(change.run for change in changes if change.run is not None and change.run.ended)
    assert (interrupted.id, interrupted.status) == (first.run_id, "interrupted")
    assert changes[-1].state == now.state
    assert now.state["notes"] == ["before", "held", "after"]
    assert len({change.cursor.rpartition("-")[0] for change in changes}) == 1
    assert sum(operation.path == () for change in changes for operation in change.operations) == 1
    assert trouble[-1] is None


async def test_commands_sent_while_the_server_is_away_are_applied_once_when_it_is_back(tmp_path: Path) -> None:
    trouble: list[ClientError | None] = []
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    async with serving(app(store=store)) as server, Client(server.url, on_trouble=trouble.append) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "before"})
        await server.stop()
        async with anyio.create_task_group() as tasks:

            async def come_back() -> None:
                await until(lambda: broken(trouble))
                await server.start(app(store=store))

            tasks.start_soon(come_back)
            answer = await thread.ask({"type": "note", "text": "meanwhile"})
    assert answer.state["notes"] == ["before", "meanwhile"]


async def test_a_thread_that_was_made_anew_replaces_the_state() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "old"})
        async with following(thread, wait=True) as changes:
            await until(lambda: changes)
            await server.stop()
            await server.start(app())
            await thread.ask({"type": "note", "text": "new"})
            await until(lambda: changes[-1].state["notes"] == ["new"])
    check(changes)
    assert len({change.cursor.rpartition("-")[0] for change in changes}) == 2


async def test_a_thread_that_is_not_there_is_refused_or_waited_for() -> None:
    trouble: list[ClientError | None] = []
    async with serving(app()) as server, Client(server.url, patience=0.2, on_trouble=trouble.append) as client:
        with pytest.raises(Refused, match="unknown_thread"):
            await anext(client.thread("t").follow())
        async with following(client.thread("t"), wait=True) as changes:
            await until(lambda: broken(trouble))
            await client.thread("t").ask({"type": "note", "text": "made"})
            await until(lambda: changes and changes[-1].state["notes"] == ["made"])
    check(changes)
    assert trouble[-1] is None


async def test_a_thread_that_is_gone_after_a_restart_is_refused() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "old"})
        changes = thread.follow()
        await anext(changes)
        await server.stop()
        await server.start(app())
        with pytest.raises(Refused, match="unknown_thread"):
            await anext(changes)


async def test_a_follower_that_is_told_to_give_up_does() -> None:
    async with serving(app()) as server, Client(server.url, patience=0.3) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "old"})
        changes = thread.follow()
        await anext(changes)
        await server.stop()
        with pytest.raises(ConnectionLost):
            await anext(changes)


async def test_a_stream_that_falls_silent_is_taken_up_again() -> None:
    trouble: list[ClientError | None] = []
    async with (
        serving(app()) as server,
        proxied(server) as proxy,
        Client(proxy.url, silence=0.3, on_trouble=trouble.append) as client,
    ):
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "a"})
        async with following(thread) as changes:
            await until(lambda: changes)
            proxy.frozen = True
            async with Client(server.url) as other:
                await other.thread("t").ask({"type": "note", "text": "b"})
            await until(lambda: broken(trouble))
            proxy.frozen = False
            await until(lambda: changes[-1].state["notes"] == ["a", "b"])
    check(changes)


async def test_heartbeats_keep_a_quiet_stream() -> None:
    trouble: list[ClientError | None] = []
    limits = Limits(heartbeat_seconds=0.1)
    async with (
        serving(app(limits=limits)) as server,
        proxied(server) as proxy,
        Client(proxy.url, silence=1, on_trouble=trouble.append) as client,
    ):
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "a"})
        async with following(thread) as changes:
            await until(lambda: changes)
            beats = proxy.pieces + 20
            await until(lambda: proxy.pieces > beats)
    assert (len(changes), trouble) == (1, [])


async def test_a_slow_consumer_gets_a_snapshot_in_place_of_what_the_server_does_not_keep() -> None:
    limits = Limits(keep_entries=10, keep_bytes=100_000)
    async with serving(app(limits=limits)) as server, Client(server.url) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "a"})
        changes: list[Change] = []
        run_id = ""
        with anyio.fail_after(PATIENCE):
            async for change in thread.follow():
                changes.append(change)
                if not run_id:
                    last = await thread.ask({"type": "flood", "count": 300})
                    assert last.run is not None
                    run_id = last.run.id
                if ended(changes, run_id):
                    break
    check(changes)
    assert changes[-1].state == last.state
    assert len(changes) < 300
    assert sum(operation.path == () for change in changes for operation in change.operations) > 1


async def test_what_is_known_already_is_not_sent_again() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread("t")
        known = await thread.ask({"type": "note", "text": "a"})
        async with following(thread, since=known) as changes, following(thread, since=await thread.state()) as others:
            await thread.ask({"type": "note", "text": "b"})
            await until(lambda: changes and others and ended(changes, changes[-1].run.id) and others[-1] == changes[-1])  # type: ignore[union-attr]  # there is a run
    assert all(operation.path != () for change in changes for operation in change.operations)
    assert changes[-1].state["notes"] == ["a", "b"]


async def test_since_and_until_do_not_go_together() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread("t")
        accepted = await thread.send({"type": "note", "text": "a"})
        known = await thread.state()
        with pytest.raises(ValueError, match="got both"):
            await anext(thread.follow(since=known, until=accepted))


async def test_who_leaves_by_break_leaves_the_server() -> None:
    serves = app()
    async with serving(serves) as server, Client(server.url) as client:
        thread = client.thread("t")
        await thread.ask({"type": "note", "text": "a"})
        async for _ in thread.follow():
            break
        gc.collect()
        served = serves.hub.loaded("t")
        assert served is not None
        await until(lambda: served.readers == 0)


async def test_many_threads_are_followed_at_once() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        seen: dict[str, Any] = {}

        async def ask(name: str) -> None:
            seen[name] = (await client.thread(name).ask({"type": "note", "text": name})).state["notes"]

        async with anyio.create_task_group() as tasks:
            for number in range(150):
                tasks.start_soon(ask, f"t{number}")
    assert seen == {f"t{number}": [f"t{number}"] for number in range(150)}


# By script


SNAPSHOT = 'e-1 {"type":"snapshot","revision":1,"state":{"text":"a"}}'


def grown(revision: int, text: str, epoch: str = "e") -> str:
    operation = f'{{"type":"append-text","path":["text"],"value":"{text}"}}'
    return f'{epoch}-{revision} {{"type":"update-state","revision":{revision},"operations":[{operation}]}}'


async def seen(url: str, count: int) -> list[Change]:
    async with Client(url) as client:
        changes = client.thread("t").follow()
        found = [await anext(changes) for _ in range(count)]
        await changes.aclose()
    check(found)
    return found


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_lines_end_at_line_feeds_alone(ending: str) -> None:
    answer = events(SNAPSHOT, grown(2, "\u2028\u0085b\u000b"), ending=ending).replace(b"\x0b", b"")
    async with scripted(answer) as script:
        assert [change.state["text"] for change in await seen(script.url, 2)] == ["a", "a\u2028\u0085b"]


async def test_what_comes_twice_is_seen_once() -> None:
    again = events('e-2 {"type":"snapshot","revision":2,"state":{"text":"ab"}}', grown(3, "c"))
    async with scripted(events(SNAPSHOT, grown(2, "b"), grown(2, "b")), again) as script:
        assert [change.state["text"] for change in await seen(script.url, 3)] == ["a", "ab", "abc"]


async def test_a_server_that_lags_is_not_shown_until_it_has_caught_up() -> None:
    lagging = events('e-1 {"type":"snapshot","revision":1,"state":{"text":"a"}}', grown(2, "b"), grown(4, "c"))
    async with scripted(events(SNAPSHOT, grown(3, "b")), lagging) as script:
        assert [change.state["text"] for change in await seen(script.url, 3)] == ["a", "ab", "abc"]


async def test_a_stream_goes_on_at_its_last_cursor() -> None:
    half = events(SNAPSHOT, grown(2, "b")) + b'id: e-3\ndata: {"type":"update-state","revision":3,"operations":[]}\n'
    async with scripted(half, http("503 Service Unavailable"), events(grown(3, "c"))) as script:
        assert [change.state["text"] for change in await seen(script.url, 3)] == ["a", "ab", "abc"]
    assert [script.header(index, "last-event-id") for index in range(3)] == [None, "e-2", "e-2"]


@pytest.mark.parametrize(
    "damaged",
    [
        grown(2, "x", "other"),
        "e-2 {",
        'e-2 {"type":"update-state","revision":2,"operations":[{"type":"append-text","path":["no"],"value":"x"}]}',
        'e-2 {"type":"run","revision":2,"run":{"id":1}}',
    ],
)
async def test_a_damaged_stream_is_mended_by_a_snapshot(damaged: str) -> None:
    mended = events('e-5 {"type":"snapshot","revision":5,"state":{"text":"mended"}}')
    async with scripted(events(SNAPSHOT, damaged), mended) as script:
        assert [change.state["text"] for change in await seen(script.url, 2)] == ["a", "mended"]
    assert script.header(1, "last-event-id") is None
