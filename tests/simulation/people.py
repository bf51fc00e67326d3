"""The people of a story: clients that send commands until they are answered, and followers that go on by cursor."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any, Final

import msgspec

from statecast.http.endpoints.events import place_of
from statecast.http.response.subscription import Subscription
from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError
from statecast.protocol.thread_events.encoder import EventsEncoder, framed_as_line
from statecast.threads.hub import Hub
from statecast.threads.rules import Posted
from statecast_agents import operations
from tests.cluster.history import Acked, Sent

from .servers import WAY, ConnectionLost, Server, Servers
from .witness import Witness

__all__ = ["AGAIN", "LATER", "Client", "Follower"]

#: Seconds until a client tries again.
AGAIN: Final = (0.05, 0.4)

#: Errors after which the same request may succeed.
LATER: Final = ("store_unavailable", "server_stopping", "lease_lost")

#: How often a stream may have nothing, without time that passes.
EMPTY: Final = 100

#: Whether a piece of the state may be applied is the decoder's to say.
_decode: Final = msgspec.json.Decoder().decode


class Client:
    """Sends commands to one thread, one after another, to any server, until each is accepted or refused.

    Args:
        name: Its name, of which those of its commands are made.
        thread: The thread, and its agent.
        servers: The servers.
        witness: Notes what is sent and answered.
        random: What it does, and when.
    """

    def __init__(self, name: str, thread: tuple[str, str], servers: Servers, witness: Witness, random: Random) -> None:
        self._name = name
        self._thread, self._agent = thread
        self._servers = servers
        self._witness = witness
        self._random = random

    async def use(self, deeds: int, seconds: float) -> None:
        """Do so many deeds within about so many seconds."""
        for number in range(deeds):
            await asyncio.sleep(self._random.uniform(0, 2 * seconds / deeds))
            deed = self._random.random()
            if number and deed < 0.15 and self._agent == "once":
                await self._cancel()
            elif number and deed < 0.3:
                await self._patch(f"{self._name}-{number}")
            else:
                await self._submit(f"{self._name}-{number}")

    async def _submit(self, name: str) -> None:
        """Send a command again and again, until it is accepted; one without an id once, since it is not known again."""
        random = self._random
        pieces, pause = random.randrange(1, 5), random.choice((0.02, 0.1, 0.4, 1.0))
        body = {"type": "count", "name": name, "pieces": pieces, "pause": pause}
        if repeats := self._agent == "again" or random.random() < 0.75:
            body["id"] = name
        command = msgspec.json.encode(body)
        self._witness.add(Sent(self._witness.now, self._thread, name))

        async def submit(hub: Hub) -> str | None:
            posted = Posted(agent=hub.agents[self._agent], commands=[command], thread_id=self._thread)
            return (await hub.submit(posted)).run_id

        while True:
            try:
                run = await self._servers.ask(submit)
            except ConnectionLost:
                pass
            except RequestError as error:
                if error.code not in LATER:
                    self._witness.fault(f"{name} was refused: {error.code}: {error}")
                    return
            else:
                self._witness.add(Acked(self._witness.now, self._thread, name, run))
                if random.random() > 0.1:
                    return  # else the answer is lost on its way
            if not repeats:
                return
            await asyncio.sleep(random.uniform(*AGAIN))

    async def _cancel(self) -> None:
        try:
            await self._servers.ask(lambda hub: hub.cancel(self._thread))
        except (ConnectionLost, RequestError):
            pass  # whoever wants it stopped would press again

    async def _patch(self, name: str) -> None:
        """Patch the state once: nobody could tell a second patch from the first."""
        self._witness.add(Sent(self._witness.now, self._thread, name))
        steps: list[Any] = [
            {"op": "add", "path": f"/counts/{name}", "value": 1},
            {"op": "add", "path": "/done/-", "value": name},
        ]
        try:
            await self._servers.ask(lambda hub: hub.patch(self._thread, steps))
        except (ConnectionLost, RequestError):
            return
        self._witness.add(Acked(self._witness.now, self._thread, name))


class Follower:
    """Follows one thread on any server, and goes on by its cursor elsewhere whenever its stream ends.

    Args:
        name: Its name.
        thread: The thread.
        servers: The servers.
        witness: Notes what it sees.
        random: Where it goes, and when it leaves by itself.
    """

    def __init__(self, name: str, thread: str, servers: Servers, witness: Witness, random: Random) -> None:
        self.cursor = ""
        self._name = name
        self.thread = thread
        self._servers = servers
        self._witness = witness
        self._random = random
        self._state: Any = None
        self._run: Any = None
        self._stream = 0  #: which one is read; what others bring is not
        self._over = asyncio.Event()
        self.restless = True  #: whether it leaves by itself

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            with contextlib.suppress(ConnectionLost):
                await self._stay(self._servers.one())
            await asyncio.sleep(self._random.uniform(*AGAIN))

    async def _stay(self, server: Server) -> None:
        """Read a stream until it is over, the server gone, or it is time to go."""
        loop = self._servers.loop
        self._stream += 1
        self._over.clear()
        loop.start(server.process, self._read(server, self._stream), name=f"stream of {self._name}")
        until = loop.time() + (self._random.uniform(0.5, 4.0) if self.restless else 60.0)
        leaving = loop.call_at(until, self._over.set)
        server.streams[self._over] = None
        try:
            await self._over.wait()
        finally:
            leaving.cancel()
            del server.streams[self._over]
            self._stream += 1

    async def _read(self, server: Server, stream: int) -> None:
        """Read a stream in its server's process."""
        known = bool(self.cursor)  #: whether it has seen the thread
        try:
            thread = await server.hub.find(self.thread)
            await server.hub.check_place(thread, Cursor.parse(self.cursor))
            place = place_of(self.cursor, thread)
            encoder = EventsEncoder(thread.epoch, framed_as_line, heartbeat=b"")
            following = Subscription.to_thread(server.hub, thread, encoder, place)
            reader = following.reader
            try:
                empty = 0  #: how often there was nothing at one moment
                while not reader.finished and stream == self._stream:
                    data, now = reader.take(), self._witness.now
                    if data:
                        self._receive(data)
                    else:
                        await reader.wait()
                        empty = empty + 1 if now == self._witness.now else 0
                        if empty > EMPTY:
                            self._witness.fault(f"the stream of {self._name} has nothing, and does not wait for more")
                            break
            finally:
                following.close()
        except RequestError as error:
            gone = error.code == "unknown_thread" and (not known or self._witness.forgives)
            if error.code not in LATER and not gone:
                self._witness.fault(f"{self._name} was refused: {error.code}: {error}")
        finally:
            loop = self._servers.loop
            loop.call_in(loop.world, WAY, self._end, stream)

    def _end(self, stream: int) -> None:
        if stream == self._stream:
            self._over.set()

    def _receive(self, data: bytes) -> None:
        for line in data.splitlines():
            frame = _decode(line)
            kind = frame["type"]
            if kind == "snapshot":
                self._state, self._run = frame["state"], frame.get("run")
            elif kind == "update-state":
                self._state = operations.apply(self._state, operations.decode(msgspec.json.encode(frame["operations"])))
            elif kind == "run":
                self._run = frame["run"]
            elif kind == "queued" or "cursor" not in frame:
                continue
            self.cursor = frame["cursor"]
            cursor = Cursor.parse(self.cursor)
            assert cursor is not None, f"expected a cursor, got {self.cursor}"
            told = kind == "snapshot"
            self._witness.see(self._name, self.thread, cursor, self._state, self._run, told=told)
