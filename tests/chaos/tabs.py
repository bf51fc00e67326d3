"""Clients that reconnect by themselves: followers of a thread, and tabs that send commands and stream what they do.

Every one has a state that it computes from what it is sent, and nothing else. `Ledger` compares them all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
import wsproto
from wsproto import events

from statecast_agents import operations
from tests.chaos.ledger import Sent

AWAY: Final = (503, 429)  #: a refusal that is worth trying again
PAUSE: Final = 0.02  #: seconds before a client tries again

decode: Final = msgspec.json.decode


class CutOff(Exception):
    """The connection was lost, or refused for the moment."""


LOST: Final = (CutOff, httpx.HTTPError, OSError, EOFError, wsproto.utilities.ProtocolError)


def applied(state: Any, changes: list[dict[str, Any]]) -> Any:
    """Return a state after some operations, as they came over the wire."""
    return operations.apply(state, msgspec.convert(changes, list[operations.Operation]))


class Notes(Protocol):
    """What clients note what they see in: a `Ledger`, or one reader's part of a record."""

    def send(self, sent: Sent) -> None:
        """Note a command that is about to be sent."""

    def accept(self, sent: Sent, run_id: str | None) -> None:
        """Note that a command was accepted."""

    def see(self, thread: str, cursor: str, state: Any, run: dict[str, Any] | None) -> int:
        """Note the state and the run at a cursor; returns the revision."""

    def see_frame(self, thread: str, revision: int, frame: dict[str, Any]) -> None:
        """Note a frame that is no snapshot."""

    def stop_at(self, thread: str, state: Any) -> None:
        """Note the state that a request's stream ended with; None if it was ended before it had shown any."""


def client() -> httpx.AsyncClient:
    """Return a client that waits for ever, and makes a connection for each request."""
    return httpx.AsyncClient(timeout=httpx.Timeout(None), limits=httpx.Limits(max_keepalive_connections=0))


class World:
    """What all clients of one server share.

    Args:
        up: Waits until the server can be reached, and returns where.
        ledger: What they note what they see in.
        random: What decides.
        http: What they ask with.
    """

    def __init__(
        self,
        up: Callable[[], Awaitable[str]],
        ledger: Notes,
        random: Random,
        *,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.up = up
        self.ledger = ledger
        self.random = random
        self.http = http or client()
        self.losses = 0  #: connections that were lost
        self.resumed = 0  #: connections over which a follower went on from its cursor

    async def get(self, path: str) -> Any:
        """Return the JSON at a path, however often that has to be tried; None if there is no such thread."""
        while True:
            try:
                answer = await self.http.get(await self.up() + path)
            except LOST:
                await asyncio.sleep(PAUSE)
                continue
            if answer.status_code == 404:
                return None
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code in AWAY, answer.text
            await asyncio.sleep(PAUSE)

    async def retry(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try something until it is not cut off."""
        while True:
            try:
                await attempt()
                return
            except LOST:
                self.losses += 1
                await asyncio.sleep(PAUSE)


class Follower:
    """Follows a thread from cursor to cursor, for as long as its task lives."""

    def __init__(self, world: World, thread: str) -> None:
        self.world = world
        self.thread = thread
        self.cursor = ""
        self.revision = -1
        self.state: Any = None
        self.run: Any = None

    async def follow(self) -> None:
        """Connect, again and again."""
        while True:
            await self.world.retry(self.connect)

    async def connect(self) -> None:
        """Follow over one connection, until it ends.

        Raises:
            CutOff: It ended.
        """
        raise NotImplementedError

    def take(self, frame: dict[str, Any], cursor: str) -> None:
        """Take a frame, and note what it leads to."""
        kind = frame["type"]
        revision = frame["revision"]
        assert cursor.endswith(f"-{revision}"), (cursor, frame)
        known = self.revision if cursor.rpartition("-")[0] == self.cursor.rpartition("-")[0] else -1
        if kind == "queued":  # what waits is no part of the log
            assert cursor == self.cursor, f"{self.thread} is at {self.cursor}, and what waits there at {cursor}"
            return
        if kind == "snapshot":
            assert revision >= known, f"{self.thread} went back from {self.cursor} to {cursor}"
            self.state, self.run = frame["state"], frame.get("run")
        else:
            assert revision > known, f"{self.thread} went from {self.cursor} to {cursor}"
            self.world.ledger.see_frame(self.thread, revision, frame)
            if kind == "update-state":
                self.state = applied(self.state, frame["operations"])
            elif kind == "run":
                self.run = frame["run"]
        self.cursor = cursor
        self.revision = self.world.ledger.see(self.thread, cursor, self.state, self.run)


class EventFollower(Follower):
    """Follows server-sent events, with `Last-Event-ID`."""

    async def connect(self) -> None:
        headers = {"last-event-id": self.cursor} if self.cursor else {}
        url = f"{await self.world.up()}/threads/{self.thread}/events"
        async with self.world.http.stream("GET", url, headers=headers) as response:
            if response.status_code != 200:
                assert response.status_code in (404, *AWAY), await response.aread()
                assert response.status_code != 404 or not self.cursor, f"{self.thread} is gone"
                raise CutOff
            self.world.resumed += bool(self.cursor)
            rest = b""
            async for piece in response.aiter_bytes():
                *whole, rest = (rest + piece).split(b"\n\n")
                for event in whole:
                    fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
                    if fields:
                        self.take(decode(fields[b"data"]), fields[b"id"].decode())
        raise CutOff


class SocketFollower(Follower):
    """Follows over a WebSocket, and sends commands over it, if it is asked to."""

    def __init__(self, world: World, thread: str) -> None:
        super().__init__(world, thread)
        self._writer: asyncio.StreamWriter | None = None
        self._socket: wsproto.WSConnection | None = None
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def connect(self) -> None:
        if await self.world.get(f"/status/{self.thread}") is None:
            raise CutOff
        place = urlsplit(await self.world.up())
        assert place.hostname
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        socket = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        path = f"/threads/{self.thread}/ws?cursor={self.cursor}"
        try:
            writer.write(socket.send(events.Request(host=place.netloc, target=path)))
            text = ""
            while data := await reader.read(65_536):
                socket.receive_data(data)
                for event in socket.events():
                    match event:
                        case events.AcceptConnection():
                            self._writer, self._socket = writer, socket
                            self.world.resumed += bool(self.cursor)
                        case events.TextMessage():
                            text += event.data
                            *lines, text = text.split("\n")
                            for line in lines:
                                self._receive(decode(line))
                        case events.Ping():
                            writer.write(socket.send(event.response()))
                        case events.CloseConnection() | events.RejectConnection():
                            raise CutOff
                await writer.drain()
        finally:
            self._writer = self._socket = None
            for ack in self._acks.values():
                ack.cancel()
            self._acks.clear()
            writer.close()
        raise CutOff

    async def send(self, agent: str, sent: Sent) -> None:
        """Send a command over the connection that is there, and wait for its acknowledgement.

        Raises:
            CutOff: There is no connection, or it was lost.
        """
        if self._socket is None or self._writer is None:
            raise CutOff
        ack = self._acks[sent.body["id"]] = asyncio.get_running_loop().create_future()
        frame = {"type": "commands", "ref": sent.body["id"], "agent": agent, "commands": [sent.body]}
        self._writer.write(self._socket.send(events.TextMessage(msgspec.json.encode(frame).decode())))
        await asyncio.wait({ack})
        if ack.cancelled():
            raise CutOff
        answer = ack.result()
        if answer["type"] == "refused":
            assert answer["status"] in (429, 503), answer
            raise CutOff
        self.world.ledger.accept(sent, answer["runId"])

    def _receive(self, frame: dict[str, Any]) -> None:
        if frame["type"] in ("ack", "refused"):
            ack = self._acks.pop(frame["ref"], None)
            if ack is not None and not ack.done():
                ack.set_result(frame)
        elif frame["type"] != "heartbeat":
            self.take(frame, frame.pop("cursor"))


class Tab:
    """A page that sends commands, one after the other, and streams what becomes of them.

    Args:
        world: Where.
        thread: The thread.
        agent: The agent that runs on it.
        name: Of the tab.
        protocol: Of the streams; it does not need one that sends over `socket`.
        socket: Sends over this instead.
    """

    def __init__(
        self,
        world: World,
        thread: str,
        agent: str,
        name: str,
        *,
        protocol: str = "",
        socket: SocketFollower | None = None,
    ) -> None:
        self.world = world
        self.thread = thread
        self.agent = agent
        self.name = name
        self.state: Any = None
        self.stopping = False
        self.follows = socket is not None  #: whether the socket has the state
        self._protocol = protocol
        self._socket = socket
        self._random = Random(world.random.random())

    async def use(self) -> None:
        """Send commands until `stopping`."""
        number = 0
        while not self.stopping:
            number += 1
            sent = self._next(number)
            self.world.ledger.send(sent)
            if self._socket is not None:
                await self.world.retry(lambda sent=sent: self._socket.send(self.agent, sent))  # type: ignore[misc]  # the default is for the loop
            elif self._random.random() < 0.1:
                await self._abandon(sent)
            elif self._random.random() < 0.2:  # the same from two places at once
                other = Tab(self.world, self.thread, self.agent, self.name, protocol=self._protocol)
                await asyncio.gather(self.deliver(sent), other.deliver(sent))
            else:
                await self.deliver(sent)
            await asyncio.sleep(self._random.random() * 0.05)

    async def catch_up(self) -> None:
        """Ask for what is new, with the state that there is as the claim."""
        await self.world.retry(lambda: self._stream("/assistant", {"commands": [], "state": self.state}))

    async def deliver(self, sent: Sent) -> None:
        """Send a command until it is accepted, and follow its run to the end: by asking again, or by resuming."""
        resumes = self._random.random() < 0.5

        async def attempt() -> None:
            if sent.accepted and resumes:
                await self._resume()
            else:
                await self._stream("/assistant", {"commands": [sent.body], "state": self.state}, sent)

        await self.world.retry(attempt)

    def _next(self, number: int) -> Sent:
        random = self._random
        name = f"{self.name}-{number}"
        body: dict[str, Any] = {"type": "echo", "id": name, "name": name}
        body |= {"pieces": random.randint(0, 6), "pause": random.choice([0, 0.002, 0.02, 0.02, 0.1])}
        if random.random() < 0.25:
            message = {"role": "user", "parts": [{"type": "text", "text": name}]}
            body = {"type": "add-message", "id": name, "message": message}
        return Sent(self.thread, self.agent, self.name, number, body)

    async def _abandon(self, sent: Sent) -> None:
        """Send a command once, lose patience, and never ask what became of it."""
        body = {"commands": [sent.body], "state": self.state}
        with contextlib.suppress(TimeoutError, *LOST):
            async with asyncio.timeout(self._random.random() * 0.1):
                await self._stream("/assistant", body, sent)

    async def _resume(self) -> None:
        if self._random.random() < 0.5:
            await self._stream("/resume", {"state": self.state})
            return
        body = {"threadId": self.thread}
        answer = await self.world.http.post(f"{await self.world.up()}/initial-state", json=body)
        if answer.status_code != 200:
            assert answer.status_code in (204, *AWAY), answer.text
            raise CutOff
        handed = answer.json()
        self.state = handed["state"]
        await self._stream("/resume", {"runId": handed["runId"]})

    async def _stream(self, path: str, body: dict[str, Any], sent: Sent | None = None) -> None:
        """Stream a response to its end.

        Raises:
            CutOff: It has no end, or is a refusal that goes away.
        """
        url = f"{await self.world.up()}{path}?protocol={self._protocol}&agent={self.agent}"
        async with self.world.http.stream("POST", url, json={"threadId": self.thread, **body}) as response:
            if response.status_code != 200:
                await response.aread()
                run_over = path == "/resume" and response.status_code == 409
                assert run_over or response.status_code in AWAY, (response.status_code, response.text)
                raise CutOff
            if sent is not None:
                self.world.ledger.accept(sent, response.headers.get("statecast-run-id"))
            ended = False
            rest = b""
            frames = b"\n\n" if self._protocol == "assistant-transport" else b"\n"
            async for piece in response.aiter_bytes():
                *whole, rest = (rest + piece).split(frames)
                for frame in whole:
                    ended = self._take(frame) or ended
            if not ended and self._protocol == "assistant-transport":
                raise CutOff
        if response.headers.get("x-stream-status") != "not_found":
            self.world.ledger.stop_at(self.thread, self.state)

    def _take(self, frame: bytes) -> bool:
        """Take a frame of either protocol; returns whether it is the end marker."""
        if frame == b"data: [DONE]":
            return True
        if frame.startswith(b"data: "):
            chunk = decode(frame[6:])
            if chunk["type"] == "update-state":
                self.state = applied(self.state, chunk["operations"])
        elif frame.startswith(b"aui-state:"):
            self.state = applied(self.state, decode(frame[10:]))
        return False
