"""`client.js` against a real server: forks and rewinds of a thread, its runs, and what is queued behind them."""

from __future__ import annotations

import pytest

from statecast import create_app
from tests.client.agents import HOLD, make
from tests.client.network import proxied, serving
from tests.clients.client_module import Module, Thread
from tests.clients.node import Json
from tests.clients.test_client_module import app, check, note, state_of

pytestmark = pytest.mark.anyio


async def noted(thread: Thread, *texts: str) -> int:
    """Note texts, one run each; returns the revision that shows the last."""
    for text in texts:
        await thread.send(note(text))
        seen = await thread.wait(f's.state?.notes.at(-1) === "{text}" && s.run.status === "completed"')
    revision: int = seen["revision"]
    return revision


async def test_a_fork_is_a_thread_of_its_own_that_goes_on_from_the_revision(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        early = await noted(thread, "a")
        await noted(thread, "b")
        made = (await thread.do("fork", revision=early))["value"]
        named = (await thread.do("fork", revision=early, id="copy"))["value"]
        fork = await (await module.thread(server.url, made, name="fork", **wire)).subscribe()
        await noted(fork, "c")
        await check(fork, server.url, made)
        notes = {id: (await state_of(server.url, id))["state"]["notes"] for id in ("t", made, named)}
        taken = await thread.do("fork", revision=early, id="copy")
        beyond = await thread.do("fork", revision=10_000)

    assert named == "copy"
    assert notes == {"t": ["a", "b"], made: ["a", "c"], "copy": ["a"]}
    assert (taken["refused"], taken["status"]) == ("thread_exists", 409)
    assert (beyond["refused"], beyond["status"]) == ("unknown_revision", 404)


async def test_a_fork_whose_answer_is_lost_is_made_once(module: Module) -> None:
    async with serving(app(open_list=True)) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url)).subscribe()
        early = await noted(thread, "a")
        proxy.eat("/fork")
        made = (await thread.do("fork", revision=early))["value"]
        state = (await state_of(server.url, made))["state"]

    assert proxy.eaten == 1
    assert state["notes"] == ["a"]


async def test_a_rewind_is_seen_by_every_follower(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        early = await noted(thread, "a")
        await noted(thread, "b", "c")
        other = await (await module.thread(server.url, name="other", **wire)).subscribe()
        await other.wait("s.state?.notes.length === 3")
        cursor = (await thread.do("rewind", revision=early))["value"]
        for one in (thread, other):
            seen = await one.wait("s.state.notes.length === 1")
            assert seen["cursor"] == cursor
            assert seen["revision"] > early  # the log goes on
            await check(one, server.url)
        await noted(thread, "d")
        await other.wait('s.state.notes.join() === "a,d"')


async def test_a_rewind_whose_answer_is_lost_happens_once(module: Module) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url)).subscribe()
        early = await noted(thread, "a")
        await noted(thread, "b")
        proxy.eat("/rewind")
        cursor = (await thread.do("rewind", revision=early))["value"]
        after = await state_of(server.url)

    assert proxy.eaten == 1
    assert (after["cursor"], after["state"]["notes"]) == (cursor, ["a"])


async def test_a_rewind_stops_a_run_only_where_it_says_so(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        early = await noted(thread, "a")
        await thread.send(HOLD)
        await thread.send(note("behind"))
        await thread.wait("s.isRunning && s.queued.length === 1")
        refused = await thread.do("rewind", revision=early)
        assert "value" in await thread.do("rewind", revision=early, cancel=True)
        await thread.wait('s.state.notes.join() === "a" && !s.isRunning && s.queued.length === 0')
        await check(thread, server.url)

    assert (refused["refused"], refused["status"]) == ("run_active", 409)


async def test_runs_tell_what_became_of_each_and_a_stopped_one_runs_again(module: Module, wire: Json) -> None:
    agent, gate = make()
    async with serving(create_app(agent)) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        assert (await thread.do("runs"))["refused"] == "unknown_thread"
        await thread.send(HOLD)
        await thread.wait("s.state?.notes.length === 1 && s.isRunning")
        assert (await thread.do("retry"))["refused"] == "run_active"
        await thread.do("cancel")
        await thread.wait('s.run.status === "cancelled"')
        gate.set()
        again = (await thread.do("retry"))["value"]
        await thread.wait(f's.run.id === "{again}" && s.run.status === "completed"')
        newer, older = (await thread.do("runs"))["value"]
        completed = await thread.do("retry", runId=older["id"])

    assert (newer["id"], newer["status"], older["status"]) == (again, "completed", "cancelled")
    assert newer["queuedAt"] <= newer["startedAt"] <= newer["firstAt"] <= newer["endedAt"]
    assert (newer["operations"] > 0, newer["bytes"] > 0, newer["error"]) == (True, True, None)
    assert (completed["refused"], completed["status"]) == ("run_not_retryable", 409)


async def test_what_is_queued_is_dropped_by_a_stop_that_says_so(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send(HOLD)
        await thread.send("Later", note("b"))
        await thread.send(note("c"))
        queued = (await thread.wait("s.queued.length === 2"))["queued"]
        assert [[command["type"] for command in batch["commands"]] for batch in queued] == [
            ["add-message", "note"],
            ["note"],
        ]
        assert (await thread.do("cancel", which={"queued": True}))["value"] is True
        seen = await thread.wait("!s.isRunning && s.queued.length === 0")
        await check(thread, server.url)

    assert seen["state"]["notes"] == ["held"]
