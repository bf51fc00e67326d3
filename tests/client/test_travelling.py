"""Forks and rewinds with the Python client: once, whatever is lost on the way, and seen by who follows."""

from __future__ import annotations

import pytest

from statecast import create_app
from statecast.client import Change, Client, Refused, Thread
from tests.client.agents import HOLD, make
from tests.client.network import proxied, serving, until
from tests.client.test_following import app, following
from tests.client.test_sending import note

pytestmark = pytest.mark.anyio


async def noted(thread: Thread, *texts: str) -> Change:
    """Note texts, one run each; returns the thread after the last."""
    for text in texts:
        change = await thread.ask(note(text))
        assert change.state["notes"][-1] == text
    return change


async def test_a_fork_whose_answer_is_lost_is_made_once_and_goes_on_by_itself() -> None:
    async with serving(app()) as server, proxied(server) as proxy, Client(proxy.url) as client:
        thread = client.thread("t")
        early = await noted(thread, "a")
        await noted(thread, "b")
        proxy.eat("/fork")
        made = await thread.fork(early.revision)
        later = await noted(made, "c")
        notes = (await thread.state()).state["notes"]

    assert proxy.eaten == 1
    assert (later.state["notes"], notes) == (["a", "c"], ["a", "b"])


async def test_a_fork_that_is_named_like_another_thread_is_refused() -> None:
    async with serving(app()) as server, Client(server.url) as client:
        thread = client.thread("t")
        early = await noted(thread, "a")
        assert (await thread.fork(early.revision, "copy")).id == "copy"
        with pytest.raises(Refused, match="thread_exists"):
            await thread.fork(early.revision, "copy")
        with pytest.raises(Refused, match="unknown_revision"):
            await thread.fork(10_000)


async def test_a_rewind_whose_answer_is_lost_happens_once() -> None:
    async with serving(app()) as server, proxied(server) as proxy, Client(proxy.url) as client:
        thread = client.thread("t")
        early = await noted(thread, "a")
        await noted(thread, "b")
        proxy.eat("/rewind")
        cursor = await thread.rewind(early.revision)
        now = await thread.state()

    assert proxy.eaten == 1
    assert (now.cursor, now.state) == (cursor, early.state)


async def test_a_rewind_stops_a_run_only_where_it_says_so_and_is_followed() -> None:
    agent, _ = make()
    async with serving(create_app(agent)) as server, Client(server.url) as client:
        thread = client.thread("t")
        early = await noted(thread, "a")
        async with following(thread) as changes:
            await thread.send(HOLD)
            await thread.send(note("behind"))
            await until(lambda: changes and changes[-1].state["notes"] == ["a", "held"])
            with pytest.raises(Refused, match="run_active"):
                await thread.rewind(early.revision)
            await thread.rewind(early.revision, cancel=True)
            await until(lambda: changes[-1].state == early.state)
            again = await thread.retry()
            await until(lambda: changes[-1].run is not None and changes[-1].run.id == again)
            newer, *_ = await thread.runs()
            await thread.cancel()

    assert newer["id"] == again
