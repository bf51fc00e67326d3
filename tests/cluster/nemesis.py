"""The nemesis: what is done to the processes of a cluster, to their engine, and to the ways between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

from tests.cluster.cluster import Cluster, Member
from tests.cluster.history import Fault
from tests.cluster.recorder import Recorder
from tests.cluster.wire import DIRECTIONS

__all__ = ["KINDS", "Nemesis"]

#: All that it does; each is the name of a method.
KINDS: Final = ("kill", "pause", "stop", "cut", "delay", "hold", "kill_engine", "pause_engine", "cut_all")

#: How long a process is paused, in leases.
PAUSES: Final = (0.5, 1.1, 3.0)

Deed = Callable[[], Awaitable[None]]


class Nemesis:
    """Does one thing after the other.

    Args:
        cluster: To whom.
        recorder: Where each deed is noted.
        random: What decides.
        lease: Seconds of a lease.
    """

    def __init__(self, cluster: Cluster, recorder: Recorder, random: Random, *, lease: float) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._random = random
        self._lease = lease

    async def go(self, deeds: int, kinds: Sequence[str] = KINDS) -> None:
        """Do so many things; every kind comes once before any comes again."""
        left: list[str] = []
        for _ in range(deeds):
            if not left:
                left = self._random.sample(kinds, len(kinds))
            deed: Deed = getattr(self, left.pop())
            await deed()
            await asyncio.sleep(self._random.random() * self._lease)

    async def kill(self) -> None:
        """Kill a process, and start it again a little later, or when its leases are over."""
        member = self._someone()
        with self._fault("killed", member):
            await member.kill()
            await asyncio.sleep(self._random.choice([0, 0.3, 1.5]) * self._lease)
            await member.start()

    async def stop(self) -> None:
        """Ask a process to stop, and start it again."""
        member = self._someone()
        with self._fault("stopped", member):
            status = await member.stop()
            assert status == 0, f"{member.name} stopped with {status}: {member.served.errors[-3_000:].decode()}"
            await member.start()

    async def pause(self) -> None:
        """Pause a process: for less than a lease, just longer, or much longer."""
        member = self._someone()
        with self._fault("paused", member):
            member.pause()
            await asyncio.sleep(self._random.choice(PAUSES) * self._lease)
            member.go_on()

    async def cut(self) -> None:
        """Reset a process's connections, and let it have new ones at once, or later."""
        member = self._someone()
        with self._fault("cut", member):
            member.wire.cut(down=True)
            await asyncio.sleep(self._random.choice([0, 0.3, 1.5]) * self._lease)
            member.wire.heal()

    async def delay(self) -> None:
        """Slow down one direction of a process's wire, or both."""
        member = self._someone()
        with self._fault("delayed", member):
            for direction in self._random.choice([DIRECTIONS[:1], DIRECTIONS[1:], DIRECTIONS]):
                member.wire.delay[direction] = self._random.choice([0.02, 0.2])
            await asyncio.sleep(self._lease)
            member.wire.heal()

    async def hold(self) -> None:
        """Hold back one direction of a process's wire, or both: it hears nothing, or is not heard."""
        member = self._someone()
        with self._fault("held", member):
            member.wire.hold(*self._random.choice([DIRECTIONS[:1], DIRECTIONS[1:], DIRECTIONS]))
            await asyncio.sleep(self._random.choice([0.3, 1.5]) * self._lease)
            member.wire.heal()

    async def kill_engine(self) -> None:
        """Kill the engine, and start it again."""
        with self._fault("engine", None):
            await self._cluster.engine.kill()
            await asyncio.sleep(self._random.choice([0, 0.5]) * self._lease)
            await self._cluster.engine.start()

    async def pause_engine(self) -> None:
        """Pause the engine."""
        with self._fault("engine", None):
            self._cluster.engine.pause()
            await asyncio.sleep(self._random.choice([0.3, 1.1]) * self._lease)
            self._cluster.engine.go_on()

    async def cut_all(self) -> None:
        """Reset the connections of all processes at once."""
        with self._fault("cut", None):
            for member in self._cluster.members:
                member.wire.cut()

    def _someone(self) -> Member:
        return self._random.choice(self._cluster.members)

    @contextmanager
    def _fault(self, kind: str, member: Member | None) -> Iterator[None]:
        begin = self._recorder.now
        yield
        name = None if member is None else member.name
        self._recorder.events.append(
            Fault(begin, self._recorder.now, kind, name)  # type: ignore[arg-type]  # one of the kinds
        )
