"""Any story of batches, retries, policies, readers, stops and crashes: nobody sees anything but the one log.

A machine tells random stories of a server on either store. At every turn, what each reader has is what the thread has,
which is what the store has; and what was accepted was applied exactly once, unless its run was stopped.
STATECAST_STORIES is how many stories are told.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from statecast.http.endpoints.events import Format
from statecast.stores.sqlite import entries
from statecast.stores.sqlite import store as sqlite
from statecast_agents.agent import Policy
from tests.counts import count
from tests.transport.account import Command
from tests.transport.followers import View
from tests.transport.server_lives import AtOnce, Life

pytestmark = pytest.mark.slow

STORIES = count("STORIES", 50, long=150)

MOST_READERS = 6
SOON: dict[str, Any] = {"MOST": 12, "AT_ONCE": 4, "FULL": 4}  #: entries move to where their thread is

# Nothing that is drawn depends on what happened, which is not the same each time: what cannot be done is left out.
threads = st.sampled_from(["a", "a", "b"])
kinds = st.sampled_from(["add", "hold", "hold", "ask", "ask", "reply", "reply", "talk", "add-message"])
policies: st.SearchStrategy[Policy] = st.sampled_from(get_args(Policy))
forms: st.SearchStrategy[Format] = st.sampled_from(get_args(Format))
batches = st.tuples(st.lists(kinds, max_size=3), st.none() | policies)
maybe = st.none() | policies
choices = st.integers(0, 999)  #: of what there is


class Story(RuleBasedStateMachine):
    """One server after the other, on one store."""

    sent: Bundle[list[Command]] = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        with patch.object(sqlite, "ThreadPoolExecutor", AtOnce), patch.multiple(entries, **SOON):
            return self._loop.run_until_complete(asyncio.wait_for(work, 20))

    @initialize(
        target=sent,
        kind=st.sampled_from(["sqlite", "sqlite", "memory"]),
        policy=policies,
        told=st.lists(batches, min_size=1, max_size=4),
    )
    def begin(self, kind: str, policy: Policy, told: list[tuple[list[str], Policy | None]]) -> Any:
        """Start the first server, with two threads that are followed in every form."""
        self.life = Life(kind, policy, Path(self._folder.name))
        self._do(self.life.open())
        for thread_id, form in (("a", "operations"), ("a", "json-patch"), ("b", "snapshot")):
            self._post(thread_id, ["add"], None)
            self.join(thread_id, form, None)
        return self.post("a", told, agrees=False)

    def teardown(self) -> None:
        """End the story, if nothing was wrong with it: what was accepted comes to its end, and is there afterwards."""
        with self._folder, contextlib.closing(self._loop):
            if hasattr(self, "life"):
                try:
                    if sys.exception() is None:
                        self._do(self._end())
                finally:
                    self._do(self.life.close())

    async def _end(self) -> None:
        await self.life.finish()
        await self.life.compare(everyone=True)
        await self.life.restart()
        await self.life.compare()
        assert not self.life.hub.runs

    # Requests

    @rule(target=sent, thread_id=threads, told=st.lists(batches, min_size=1, max_size=3), agrees=st.booleans())
    def post(self, thread_id: str, told: list[tuple[list[str], Policy | None]], *, agrees: bool) -> Any:
        """Send batches that are new, one after the other."""
        return multiple(*filter(None, [self._post(thread_id, *batch, agrees=agrees) for batch in told]))

    @rule(target=sent, choice=choices, told=st.lists(kinds, min_size=1, max_size=3), policy=maybe)
    def post_meanwhile(self, choice: int, told: list[str], policy: Policy | None) -> list[Command]:
        """Send a batch that is new while a run is under way, if one is."""
        busy = self.life.busy or ["a"]
        return self._post(busy[choice % len(busy)], told, policy)

    def _post(self, thread_id: str, told: list[str], policy: Policy | None, *, agrees: bool = False) -> list[Command]:
        batch = [self.life.account.new(thread_id, kind) for kind in told]
        self._do(self.life.post(batch, thread_id, policy, agrees=agrees))
        return batch

    @rule(batch=sent, more=st.lists(kinds, max_size=1), policy=maybe)
    def retry(self, batch: list[Command], more: list[str], policy: Policy | None) -> None:
        """Send a batch again, whatever became of it, perhaps with something new."""
        thread_id = batch[0].thread_id
        new = [self.life.account.new(thread_id, kind, named=False) for kind in more]
        self._do(self.life.post([*batch, *new], thread_id, policy, agrees=False))

    @rule(choice=choices)
    def release(self, choice: int) -> None:
        """Let a run go on that is held, if one is."""
        holds = self.life.actor.holds
        if holds:
            holds.pop(choice % len(holds)).set()

    @rule(thread_id=threads, queued=st.booleans())
    def cancel(self, thread_id: str, *, queued: bool) -> None:
        """Stop whatever is active."""
        self._do(self.life.cancel(thread_id, queued=queued))

    @rule(thread_id=threads, path=st.sampled_from(["/title", "/title", "/done"]), title=st.text("aé😀", max_size=3))
    def patch(self, thread_id: str, path: str, title: str) -> None:
        """Edit the state."""
        self._do(self.life.patch(thread_id, path, title))

    # Readers

    @rule(thread_id=threads, form=forms, place=st.none() | st.integers(-9, 999) | st.text())
    def join(self, thread_id: str, form: Format, place: int | str | None) -> None:
        """Follow a thread: from its start, or from a place that some reader has been to, or nobody ever."""
        thread = self._do(self.life.find(thread_id))
        if thread is None or len(self.life.watchers.readers) >= MOST_READERS:
            return
        view = View({"made": "up"})
        if isinstance(place, int) and place >= 0 and self.life.watchers.past:
            view = self.life.watchers.past[place % len(self.life.watchers.past)].copy()
        elif isinstance(place, int) and place < 0:
            view.cursor = f"{thread.epoch}-{thread.log.visible - place}"
        elif isinstance(place, str):
            view.cursor = place
        self.life.watchers.follow(thread, form, view)

    @rule(choice=choices, leaves=st.booleans())
    def read(self, choice: int, *, leaves: bool) -> None:
        """Let a reader take what there is, once, and perhaps lose it then."""
        readers = self.life.watchers.readers
        if not readers:
            return
        self.life.watchers.read(readers[choice % len(readers)])
        if leaves:
            readers.pop(choice % len(readers)).leave()

    @rule()
    def catch_up(self) -> None:
        """Let every reader read to the end."""
        self._do(self.life.compare(everyone=True))

    @rule(choice=choices)
    def look_back(self, choice: int) -> None:
        """Ask for the state at a revision that a reader has seen: it is that, or so old that it is not kept."""
        self._do(self.life.look_back(choice))

    # The server

    @rule(long=st.booleans())
    def turn(self, *, long: bool) -> None:
        """Let time pass; if it is long, everybody looks away meanwhile."""
        self._do(self.life.turn())
        if long:
            self._do(self.life.forget())

    @rule()
    def stall(self) -> None:
        """Let the store take its time, or go on; one in memory takes none."""
        if not self.life.durable:
            return
        if self.life.stalled:
            self._do(self.life.flow())
        else:
            self.life.stall()

    @rule(kill=st.booleans())
    def restart(self, *, kill: bool) -> None:
        """Stop the server, or kill it, and start the next, unless it has only just begun."""
        if self.life.requests > 3:
            self._do(self.life.crash() if kill and self.life.durable else self.life.restart())

    @invariant()
    def all_is_well(self) -> None:
        self._do(self.life.compare())


TestStory = Story.TestCase
TestStory.settings = settings(
    max_examples=STORIES,
    # A story that went wrong is printed as it was told; to find a shorter one may take hours.
    phases=[Phase.generate],
    print_blob=True,
    database=None,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
