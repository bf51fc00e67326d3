"""Travellers: clients that go back on a thread, and fork it, while its runs start, and servers come and go.

A thread that goes back takes back what was carried out, so the checks of other threads say nothing of it but that all
who read it agree. What holds of it instead: after a rewind it is what it was at the revision, a fork is what the thread
was there, and no command is begun twice on the way to any revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

import msgspec

from statecast.protocol.errors import RequestError
from statecast.stores import Key, SavedThread
from statecast.threads.hub import Hub
from statecast.threads.rules import Posted
from statecast_agents import OperationError, operations

from .engine import Engine
from .people import AGAIN, LATER
from .servers import ConnectionLost, Servers
from .witness import THREAD, Witness

__all__ = ["Traveller"]

#: The agent of its thread.
AGENT: Final = "once"

#: Why a thread may not be what it was when a traveller looked: it is not there yet, or a run has begun meanwhile.
REFUSED: Final = ("unknown_thread", "run_active")

#: The same where the engine has lost what it wrote last.
LOST: Final = ("unknown_revision", "revision_gone")

_T = TypeVar("_T")


class Went(msgspec.Struct, frozen=True):
    """A rewind or a fork that was accepted."""

    at: int  #: the revision that was asked for
    since: int  #: the end of the thread when it was
    until: int  #: the place after a rewind
    made: str | None  #: the thread that a fork made


class Traveller:
    """Sends commands to the thread, and goes back on it or forks it, to any server.

    Args:
        servers: The servers.
        witness: Notes what is wrong.
        random: What it does, and when.
    """

    def __init__(self, servers: Servers, witness: Witness, random: Random) -> None:
        self._servers = servers
        self._witness = witness
        self._random = random
        self.went: list[Went] = []

    async def use(self, deeds: int, seconds: float) -> None:
        """Do so many deeds within about so many seconds."""
        for number in range(deeds):
            await asyncio.sleep(self._random.uniform(0, 2 * seconds / deeds))
            deed = self._random.random()
            if number and deed < 0.35:
                await self._go(partial(self._rewind, f"rewind-{number}", self._random.random() < 0.6))
            elif number and deed < 0.65:
                await self._go(partial(self._fork, f"{THREAD}-{number}"))
            else:
                await self._submit(f"{THREAD}-{number}")

    async def _submit(self, name: str) -> None:
        body = {"type": "count", "id": name, "name": name, "pieces": 3, "pause": self._random.choice((0.02, 0.2))}
        command = msgspec.json.encode(body)

        async def submit(hub: Hub) -> None:
            await hub.submit(Posted(agent=hub.agents[AGENT], commands=[command], thread_id=THREAD))

        await self._until_accepted(submit)

    async def _go(self, go: Callable[[int, int], Awaitable[None]]) -> None:
        """Go to a revision that the thread has had."""

        async def look(hub: Hub) -> int:
            return (await hub.find(THREAD)).log.visible

        now = await self._until_accepted(look)
        if now is not None and now > 0:
            await go(int(self._random.random() * (now + 1)), now)

    async def _rewind(self, key: str, cancel: bool, at: int, now: int) -> None:
        cursor = await self._until_accepted(lambda hub: hub.rewind(THREAD, at, cancel=cancel, key=key))
        if cursor is not None:
            self.went.append(Went(at, now, cursor.revision, None))

    async def _fork(self, made: str, at: int, now: int) -> None:
        async def fork(hub: Hub) -> bool:
            await hub.copies.fork(await hub.find(THREAD), at, made)
            return True

        if await self._until_accepted(fork, done="thread_exists", otherwise=True):
            self.went.append(Went(at, now, now, made))

    async def _until_accepted(
        self, request: Callable[[Hub], Awaitable[_T]], *, done: str = "", otherwise: _T | None = None
    ) -> _T | None:
        """Ask again and again, until it is accepted, which `done` says as well, or refused."""
        while True:
            try:
                return await self._servers.ask(request)
            except ConnectionLost:
                pass
            except RequestError as error:
                if error.code == done:
                    return otherwise
                if error.code in REFUSED or (error.code in LOST and self._witness.forgives):
                    return None
                if error.code not in LATER:
                    self._witness.fault(f"a traveller was refused: {error.code}: {error}")
                    return None
            await asyncio.sleep(self._random.uniform(*AGAIN))

    async def check(self, engine: Engine, answers: Callable[[str], Awaitable[Sequence[bytes]]]) -> None:
        """Check what has come of it all, now that all is quiet.

        Args:
            engine: The engine.
            answers: Returns the state of a thread, as each server answers it.
        """
        saved = engine.read("load", Key(None, THREAD))
        if saved is None:
            return
        try:
            states = dict(_states(saved))
        except OperationError:
            return  # the witness has noted that the log does not lead anywhere
        for revision, state in states.items():
            twice = [name for name, count in (state or {}).get("counts", {}).items() if count > 1]
            if twice:
                self._witness.fault(f"{twice} was begun twice on the way to {revision}")
        if self._witness.forgives:
            return  # what it went to may be lost, and other entries have its revisions
        for went in self.went:
            then = states.get(went.at)
            if went.made is None:
                if then not in [states.get(revision) for revision in range(went.since, went.until + 1)]:
                    self._witness.fault(f"a rewind to {went.at} does not lead there: {went}")
                continue
            for state in await answers(went.made):
                if msgspec.json.decode(state) != then:
                    self._witness.fault(f"a fork of {went.at} is something else: {went}")


def _states(saved: SavedThread) -> Iterator[tuple[int, Any]]:
    """Yield the state at each revision of a log that was never compacted."""
    state: Any = msgspec.json.decode(saved.state)
    yield saved.revision, state
    for revision, kind, data in saved.entries:
        if kind == "operations":
            state = operations.apply(state, operations.decode(data))
        yield revision, state
