"""What lies between a process and the engine: calls and answers take their time, get lost, or come late.

To the process it is a store. A call that gets no answer raises `StoreUnavailable`, and may have been performed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, ClassVar, Final, Literal, NoReturn

from statecast.stores import Change, Key, StoreUnavailable
from statecast.stores.shared import SharedChange
from statecast.stores.wake import OnHint, OnLost

from .engine import Engine
from .loop import Process

__all__ = ["Connection", "Network", "Way"]

#: Seconds after which a call that was not answered fails.
PATIENCE: Final = 0.8

#: Seconds of a way that nothing is wrong with, at least and at most.
QUICK: Final = (0.0005, 0.004)

#: What is wrong with the way there, or back.
Way = Literal["refused", "lost", "late"]


class Network:
    """All connections to an engine, and the hints between them.

    Args:
        engine: The engine.
        random: Decides what happens to calls and hints.
        hints: The part of the hints that arrive.
    """

    def __init__(self, engine: Engine, random: Random, *, hints: float) -> None:
        self.engine = engine
        self.random = random
        self._hints = hints
        self._wakes: list[_Wake] = []

    def connect(self, process: Process) -> Connection:
        """Return a connection for a process."""
        return Connection(self, process)

    def wake(self, connection: Connection) -> _Wake:
        """Return a way to send hints over a connection."""
        self._wakes.append(_Wake(self, connection))
        return self._wakes[-1]

    def hint(self, topics: Collection[str]) -> None:
        """Bring hints to whoever follows the topics, most of them; some twice or late."""
        random = self.random
        for wake in self._wakes:
            hinted = [topic for topic in sorted(topics) if topic in wake.followed]
            if hinted and wake.live and random.random() < self._hints:
                for _ in range(2 if random.random() < 0.1 else 1):
                    delay = random.uniform(*QUICK) if random.random() < 0.9 else random.uniform(0.1, 1.5)
                    self.engine.loop.call_in(wake.process, delay, wake.arrive, hinted)

    def reconnected(self) -> None:
        """Tell everybody that hints may have been lost."""
        for wake in self._wakes:
            self.engine.loop.call_in(wake.process, self.random.uniform(*QUICK), wake.lost)


class Connection:
    """A process's way to the engine, which is a `SharedStore` to it.

    Args:
        network: The network.
        process: The process.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, network: Network, process: Process) -> None:
        self.process = process
        self.there: Way | None = None  #: what happens to all calls
        self.back: Way | None = None  #: what happens to all answers
        self.loss = 0.0  #: the part of calls and of answers that get lost
        self.on_write: Callable[[], None] | None = None  #: called once, when the process is about to write
        self._network = network
        self._era = network.engine.era
        self._held: list[partial[None]] = []  #: what is late

    async def open(self) -> None:
        """Do nothing: each call connects."""

    async def aclose(self) -> None:
        """Do nothing."""

    def commit_nowait(self, changes: Sequence[Change]) -> NoReturn:
        """Refuse."""
        raise TypeError("this store is not instant")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Leave everything to `write`."""
        return False

    def wake(self) -> _Wake:
        """Return a way to send hints."""
        return self._network.wake(self)

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes."""
        changes = list(changes)
        self._network.engine.offer(changes, tokens)
        found: Mapping[Key, Exception] = await self._call("write", changes, dict(tokens))
        return found

    def __getattr__(self, name: str) -> Any:
        """Return a call of the store that has nothing of its own to it."""
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self._call, name)

    def heal(self) -> None:
        """Let calls and answers through again, those that are late first."""
        self.there = self.back = None
        self.loss = 0.0
        held, self._held = self._held, []
        for late in held:
            self._network.engine.loop.call_in(self._network.engine.process, 0.0, late)

    async def _call(self, name: str, *args: Any, **options: Any) -> Any:
        network = self._network
        engine, random, loop = network.engine, network.random, network.engine.loop
        if name == "write" and self.on_write is not None:
            on_write, self.on_write = self.on_write, None
            on_write()
            await asyncio.sleep(0)  # it leaves when the process goes on
        waiting: asyncio.Future[Any] = loop.create_future()
        if self.there == "refused" or engine.away or self._era != engine.era:
            loop.call_in(self.process, random.uniform(*QUICK), self._reconnect, waiting)
        else:
            performing = partial(self._perform, name, args, options, waiting, engine.era)
            if self.there == "late":
                self._held.append(performing)
            elif self.there is None and random.random() >= self.loss:
                loop.call_in(engine.process, random.uniform(*QUICK), performing)
            limit = loop.call_at(loop.time() + PATIENCE, _fail, waiting)
            waiting.add_done_callback(lambda _: limit.cancel())
        return await waiting

    def _reconnect(self, waiting: asyncio.Future[Any]) -> None:
        """Fail a call on a connection that was lost; the next ones have another one."""
        self._era = self._network.engine.era
        _fail(waiting)

    def _perform(
        self, name: str, args: Sequence[Any], options: Mapping[str, Any], waiting: asyncio.Future[Any], era: int
    ) -> None:
        """Perform a call in the engine, if it is still the one that was called."""
        engine = self._network.engine
        if engine.era == era:
            engine.perform(name, args, options, partial(self._answer, waiting, era))
        else:
            engine.loop.call_in(self.process, 0.0, _fail, waiting)

    def _answer(self, waiting: asyncio.Future[Any], era: int, result: Any) -> None:
        network = self._network
        if network.engine.era != era:
            network.engine.loop.call_in(self.process, 0.0, _fail, waiting)
        elif self.back is None and network.random.random() >= self.loss:
            delay = network.random.uniform(*QUICK)
            network.engine.loop.call_in(self.process, delay, _settle, waiting, result)


class _Wake:
    """Hints over a network."""

    def __init__(self, network: Network, connection: Connection) -> None:
        self.process = connection.process
        self.followed: set[str] = set()
        self._network = network
        self._connection = connection
        self._open = False
        self._on_hint: OnHint | None = None
        self._on_lost: OnLost | None = None

    @property
    def live(self) -> bool:
        connection = self._connection
        return self._open and connection.there is None and connection.back is None and not self._network.engine.away

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        self._on_hint, self._on_lost = on_hint, on_lost
        self._open = True

    async def aclose(self) -> None:
        self._open = False

    def send(self, topics: Collection[str]) -> None:
        if self.live:
            self._network.hint(topics)

    def follow(self, topic: str) -> None:
        self.followed.add(topic)

    def unfollow(self, topic: str) -> None:
        self.followed.discard(topic)

    def arrive(self, topics: Collection[str]) -> None:
        if self.live and self._on_hint is not None:
            self._on_hint(topics)

    def lost(self) -> None:
        if self._open and self._on_lost is not None:
            self._on_lost()


def _fail(waiting: asyncio.Future[Any]) -> None:
    if not waiting.done():
        waiting.set_exception(StoreUnavailable("the engine does not answer"))


def _settle(waiting: asyncio.Future[Any], result: Any) -> None:
    if waiting.done():
        return
    if isinstance(result, Exception):
        waiting.set_exception(result)
    else:
        waiting.set_result(result)
