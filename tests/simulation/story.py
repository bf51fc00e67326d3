"""One story: some servers over one engine, the people who use them, what goes wrong meanwhile, and what comes of it.

A seed decides everything. When the troubles are over all must become quiet, and then the checks of a real cluster hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, Literal

import msgspec

from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError
from statecast.stores import Key
from statecast.threads.hub import Hub
from tests.cluster.checker import check
from tests.cluster.history import Event, Fault

from .chance import nothing_else_is_random
from .connection import Network, Way
from .engine import Engine
from .loop import SimulatedLoop, Stuck
from .people import Client, Follower
from .servers import ConnectionLost, Server, Servers
from .travellers import Traveller
from .witness import THREAD, Witness

__all__ = ["LEASE", "Story", "Trouble", "tell"]

#: Seconds of a lease, which is the servers' default.
LEASE: Final = 2.2

#: Seconds in which things go wrong, and in which all is to be quiet afterwards.
TROUBLES: Final = 6.0
QUIET: Final = 40.0

#: What goes wrong.
Trouble = Literal["kill", "pause", "stall", "cut", "blip", "loss", "restart", "failover", "replace"]

#: How likely each of it is.
LIKELY: Final[Mapping[Trouble, int]] = {
    "kill": 4,
    "pause": 3,
    "stall": 3,
    "cut": 4,
    "blip": 1,
    "loss": 2,
    "restart": 2,
    "failover": 1,
    "replace": 2,
}

#: The part of the stories in which somebody goes back on a thread, and forks it.
TRAVELLED: Final = 0.4

#: Seconds between two looks whether all is quiet.
LOOK: Final = 0.25


class Story(msgspec.Struct, frozen=True):
    """What came of a seed."""

    seed: str
    faults: Sequence[str]  #: what is wrong
    history: Sequence[Event]
    turns: int  #: of all processes, until all was quiet
    trace: str  #: a digest of all that happened until then

    def __str__(self) -> str:
        """Return what is wrong, and how to see it again."""
        return "\n".join([f"seed {self.seed}:", *(f"  {fault}" for fault in self.faults)])


def tell(
    seed: int, *, engine: Callable[[SimulatedLoop], Engine] = Engine, troubles: Sequence[Trouble] = tuple(LIKELY)
) -> Story:
    """Tell the story of a seed.

    Args:
        seed: The seed.
        engine: Makes the engine: a mistaken one, perhaps.
        troubles: What may go wrong.
    """
    loop = SimulatedLoop(Random(f"{seed} turns"))
    turns = 0
    witness = Witness(loop)
    with nothing_else_is_random(seed, loop):
        try:
            scene = _Scene(seed, loop, witness, engine(loop), troubles)
            loop.run_until_complete(scene.play())
            turns = loop.turns
            loop.run_until_complete(scene.close())
        except Stuck as stuck:
            witness.fault(str(stuck))
        finally:
            loop.close()
    faults = [*witness.faults, *loop.failures]
    faults += check(witness.events, lease=LEASE, patience=None)
    trace = hashlib.blake2b(msgspec.json.encode([witness.events, turns])).hexdigest()
    return Story(str(seed), faults, witness.events, turns, trace)


class _Scene:
    """Servers, people and troubles."""

    def __init__(
        self, seed: int, loop: SimulatedLoop, witness: Witness, engine: Engine, troubles: Sequence[Trouble]
    ) -> None:
        self._troubles = troubles
        self._loop = loop
        self._witness = witness
        self._engine = engine
        engine.on_entry = witness.written
        random = self._random = Random(f"{seed} story")
        self._network = Network(engine, Random(f"{seed} network"), hints=random.choice((0.0, 0.7, 1.0)))
        self._servers = Servers(loop, self._network, Random(f"{seed} servers"))
        self._threads = [("t", "once"), ("u", "again")][:: random.choice((1, -1))][: random.choice((1, 1, 2))]
        self._traveller: Traveller | None = None
        travels = Random(f"{seed} travels")
        if travels.random() < TRAVELLED:
            self._traveller = Traveller(self._servers, witness, travels)
        self._names = iter(f"s{number}" for number in range(1_000))
        self._followers = [
            Follower(f"{thread}/{number}", thread, self._servers, witness, Random(f"{seed} {thread} {number}"))
            for thread, _ in self._threads
            for number in range(2)
        ]
        if self._traveller is not None:
            reads = Random(f"{seed} travels along")
            self._followers.append(Follower(f"{THREAD}/0", THREAD, self._servers, witness, reads))
        self._clients = [
            Client(f"{thread[0]}-{number}", thread, self._servers, witness, Random(f"{seed} {thread} c {number}"))
            for thread in self._threads
            for number in range(random.choice((1, 2)))
        ]

    async def play(self) -> None:
        """Let everything happen, and note what there is in the end."""
        for _ in range(self._random.choice((2, 2, 3))):
            self._servers.add(next(self._names))
        following = [asyncio.create_task(follower.follow()) for follower in self._followers]
        using = [asyncio.create_task(client.use(self._random.randrange(1, 4), TROUBLES)) for client in self._clients]
        if self._traveller is not None:
            using.append(asyncio.create_task(self._traveller.use(8, TROUBLES)))
        await self._trouble()
        await self._heal()
        try:
            async with asyncio.timeout(QUIET):
                await asyncio.gather(*using)
                await self._quiet()
        except TimeoutError:
            self._witness.fault("it does not become quiet")
        for task in (*following, *using):
            task.cancel()
        for result in await asyncio.gather(*following, *using, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        await self._note_answers()

    async def _trouble(self) -> None:
        """Do one thing after another, until it is enough."""
        random = self._random
        deeds: Mapping[Trouble, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "pause": self._pause,
            "stall": self._stall,
            "cut": self._cut,
            "blip": self._blip,
            "loss": self._lossy,
            "restart": self._restart_engine,
            "failover": self._fail_over,
            "replace": self._replace,
        }
        chosen = random.choices(
            self._troubles, [LIKELY[trouble] for trouble in self._troubles], k=random.randrange(1, 5)
        )
        doing = [asyncio.create_task(self._after(random.uniform(0.3, TROUBLES), deeds[one])) for one in chosen]
        await asyncio.sleep(TROUBLES)
        await asyncio.gather(*doing)

    async def _after(self, seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(seconds)
        await deed()

    def _victim(self) -> Server | None:
        living = [server for server in self._servers.all if server.up and not server.process.paused]
        return self._random.choice(living) if living else None

    def _noted(self, kind: Any, seconds: float, server: Server | None) -> None:
        now = self._loop.time()
        self._witness.add(Fault(now, now + seconds, kind, None if server is None else server.name))

    async def _kill(self) -> None:
        """Kill a server, and start another one in its place."""
        server = self._victim()
        if server is not None:
            self._noted("killed", 0.0, server)
            self._servers.kill(server)
            await asyncio.sleep(self._random.uniform(0.1, LEASE))
            self._servers.add(next(self._names))

    async def _replace(self) -> None:
        """Stop a server as for an upgrade, and start another one."""
        server = self._victim()
        if server is not None:
            self._noted("stopped", 60.0, server)
            self._servers.add(next(self._names))
            self._servers.all.remove(server)
            server.cut()
            self._servers.gone.append(server)
            self._loop.start(server.process, server.hub.aclose(), name=f"end of {server.name}")

    async def _pause(self) -> None:
        """Pause a server, as for SIGSTOP, or for an agent that blocks the event loop."""
        server = self._victim()
        if server is not None:
            seconds = LEASE * self._random.choice((0.2, 0.5, 1.1, 1.5))
            self._noted("paused", seconds, server)
            server.process.pause()
            await asyncio.sleep(seconds)
            server.process.resume()

    async def _stall(self) -> None:
        """Pause a server when it is about to write, so that what it sends afterwards may be too late."""
        server = self._victim()
        if server is None:
            return
        loop, writes = self._loop, asyncio.Event()

        def stall() -> None:
            server.process.pause()
            loop.call_in(loop.world, 0.0, writes.set)

        server.connection.on_write = stall
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TROUBLES / 2):
                await writes.wait()
        server.connection.on_write = None
        if writes.is_set():
            seconds = LEASE * self._random.choice((1.1, 1.5))
            self._noted("paused", seconds, server)
            await asyncio.sleep(seconds)
            server.process.resume()

    async def _cut(self) -> None:
        """Cut a server off from the engine, in one direction or both."""
        server = self._victim()
        if server is not None:
            seconds = self._random.uniform(0.05, 1.5 * LEASE)
            self._noted("cut", seconds, server)
            ways: tuple[Way, ...] = ("refused", "lost", "late")
            connection = server.connection
            if self._random.random() < 0.5:
                connection.there = self._random.choice(ways)
            if connection.there is None or self._random.random() < 0.5:
                connection.back = "lost"
            await asyncio.sleep(seconds)
            connection.heal()
            self._network.reconnected()

    async def _blip(self) -> None:
        """Cut a server off for so short a time that it keeps what it holds."""
        server = self._victim()
        if server is not None:
            seconds = self._random.uniform(0.02, 0.2 * LEASE)
            self._noted("cut", seconds, server)
            server.connection.there = "refused"
            await asyncio.sleep(seconds)
            server.connection.heal()
            self._network.reconnected()

    async def _lossy(self) -> None:
        """Let calls to the engine, and answers, get lost for a while."""
        server = self._victim()
        if server is not None:
            seconds = self._random.uniform(0.5, LEASE)
            self._noted("delayed", seconds, server)
            server.connection.loss = 0.3
            await asyncio.sleep(seconds)
            server.connection.heal()
            self._network.reconnected()

    async def _restart_engine(self) -> None:
        """End the engine, and start it again with all that it had."""
        await self._without_engine(0)

    async def _fail_over(self) -> None:
        """End the engine, and start it without what it wrote last."""
        await self._without_engine(self._random.randrange(1, 12))

    async def _without_engine(self, lost: int) -> None:
        if self._engine.away:
            return
        seconds = self._random.uniform(0.05, 1.2 * LEASE)
        self._noted("engine", seconds, None)
        self._engine.stop()
        await asyncio.sleep(seconds)
        if lost:
            self._witness.forgive()
            self._engine.fail_over(lost)
        else:
            self._engine.start()
        self._network.reconnected()

    async def _heal(self) -> None:
        """Take all troubles away."""
        for server in self._servers.all:
            server.connection.heal()
            server.process.resume()
        for follower in self._followers:
            follower.restless = False
        self._network.reconnected()

    async def _quiet(self) -> None:
        """Wait until nothing is left to write or to do, and everybody has seen it."""
        while not self._all_is_quiet():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(LOOK)

    def _all_is_quiet(self) -> bool:
        stored = all(server.hub.registry.journal.all_stored for server in self._servers.all)
        return stored and all(map(self._is_quiet, {follower.thread for follower in self._followers}))

    def _is_quiet(self, thread: str) -> bool:
        key = Key(None, thread)
        saved = self._engine.read("load", key)
        if saved is None:
            return True
        end = str(Cursor(saved.epoch, saved.revision + len(saved.entries)))
        cursors = {follower.cursor for follower in self._followers if follower.thread == thread}
        return cursors == {end} and not self._engine.has_work(key)

    async def _note_answers(self) -> None:
        """Note what the engine has, and what each server answers."""
        for thread, agent in self._threads:
            key = Key(None, thread)
            saved = self._engine.read("load", key)
            if saved is None:
                if self._witness.forgives:
                    self._witness.forget(thread)
                continue
            self._witness.replay(self._engine, saved)
            for server in self._servers.all:
                await self._note_answer(server, key, restartable=agent == "again")
        if self._traveller is not None:
            await self._note_travels(self._traveller)

    async def _note_answer(self, server: Server, key: Key, *, restartable: bool) -> None:
        """Note what a server answers for a thread."""
        answer = await self._answer(server, key.thread_id)
        if answer is not None:
            cursor, text, run = answer
            self._witness.answer(server.name, key, cursor, text, run, restartable=restartable)

    async def _answer(self, server: Server, thread: str) -> tuple[Cursor, bytes, Any] | None:
        """Return what a server answers for a thread; one that was paused until now may have to be asked again."""
        for _ in range(3):
            try:
                return await server.ask(self._loop, _state_of(thread), seconds=10.0)
            except (ConnectionLost, RequestError) as failure:
                error = failure
        self._witness.fault(f"{server.name} does not answer for {thread}: {error!r}")
        return None

    async def _note_travels(self, traveller: Traveller) -> None:
        """Note the thread on which a traveller was, and check where it has gone."""
        saved = self._engine.read("load", Key(None, THREAD))
        if saved is None:
            if self._witness.forgives:
                self._witness.forget(THREAD)
            return
        self._witness.replay(self._engine, saved)
        for server in self._servers.all:
            await self._note_answer(server, saved.key, restartable=False)

        async def answers(thread: str) -> list[bytes]:
            found = [await self._answer(server, thread) for server in self._servers.all]
            return [answer[1] for answer in found if answer is not None]

        await traveller.check(self._engine, answers)

    async def close(self) -> None:
        """End all servers; those that were killed end now as well, where nobody hears of it."""
        closing = []
        for server in self._servers.all:
            server.cut()
            closing.append(self._loop.start(server.process, server.hub.aclose(), name=f"end of {server.name}"))
        await asyncio.wait(closing, timeout=QUIET)
        for server in self._servers.gone:
            server.connection.there = "refused"
            server.process.dead = server.process.paused = False
        for _ in range(100):
            left = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.sleep(0.1)
        self._witness.fault(f"{len(left)} tasks do not end: {sorted(task.get_name() for task in left)}")


def _state_of(thread: str) -> Callable[[Hub], Awaitable[tuple[Cursor, bytes, Any]]]:
    """Return a request for a thread's state, as `/threads/{id}/state` makes it."""

    async def state(hub: Hub) -> tuple[Cursor, bytes, Any]:
        found = await hub.find(thread)
        run = msgspec.to_builtins(found.run)
        revision, text = await hub.registry.snapshot(found)
        return Cursor(found.epoch, revision), text, run

    return state
