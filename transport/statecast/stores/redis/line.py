"""`Line`: a connection that is subscribed to channels, and knows whether it delivers."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Final

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError, ResponseError

from statecast.stores.errors import StoreUnavailable

from .engine import Engine
from .keys import Keys
from .node import Host, connected, send
from .scripts import Command

__all__ = ["Line"]

#: Seconds between probes; one that does not come back within as many says that the line delivers nothing.
PROBE: Final = 5.0

#: Seconds between tries to connect.
PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

#: Channels in one command.
TOGETHER: Final = 1_000


class Line:
    """Receives from one server, and connects again whenever the connection ends or delivers nothing.

    Args:
        engine: Whose server it is.
        keys: Names the channel for probes.
        host: Where it is; None: where the engine finds it.
        on_message: Called with the channel of each message.
        on_connected: Called when messages before may have been lost.
        on_moved: Called when the server has a slot no more.
    """

    def __init__(
        self,
        engine: Engine,
        keys: Keys,
        host: Host | None,
        on_message: Callable[[bytes], None],
        on_connected: Callable[[], None],
        on_moved: Callable[[], None],
    ) -> None:
        self.live = False  #: whether it delivers, as far as is known
        self._engine = engine
        self._keys = keys
        self._host = host
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_moved = on_moved
        self._verb = "SSUBSCRIBE" if engine.is_cluster else "SUBSCRIBE"
        self._channels: dict[int, set[bytes]] = {}  #: by partition
        self._own = secrets.token_hex(8).encode()  #: what the channel for probes is named by
        self._probed_in = 0  #: the partition of that channel
        self._seen = asyncio.Event()  #: set when the last probe has come back
        self._tries = 0  #: to connect
        self._connection: Connection | None = None
        self._left: set[bytes] = set()  #: channels that this connection has unsubscribed from, or will have
        self._unsent: dict[bytes, tuple[str, int]] = {}  #: by channel: how its subscription is to change
        self._flushing: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def partitions(self) -> Collection[int]:
        """Those whose channels are here."""
        return set(self._channels)

    async def aclose(self) -> None:
        """Close the connection, and end."""
        self._task.cancel()
        await asyncio.wait({self._task, *([self._flushing] if self._flushing else [])})

    def take(self, channels: Mapping[int, Collection[bytes]]) -> None:
        """Receive from the channels of partitions, and from no other partition's."""
        for partition in self._channels.keys() - channels.keys():
            self._left |= self._channels.pop(partition)  # the server ends these subscriptions itself
        for partition, names in channels.items():
            fresh = set(names) - self._channels.setdefault(partition, set())
            for channel in fresh:
                self.follow(partition, channel)
        if self._probed_in not in self._channels:
            self._probed_in = min(self._channels)
            self._change(self._probed_in, self._probe_channel(), self._verb)

    def follow(self, partition: int, channel: bytes) -> None:
        """Receive from a channel."""
        self._channels.setdefault(partition, set()).add(channel)
        self._change(partition, channel, self._verb)

    def unfollow(self, partition: int, channel: bytes) -> None:
        """Receive from a channel no more."""
        self._channels.get(partition, set()).discard(channel)
        if self._connection is not None:
            self._left.add(channel)
        self._change(partition, channel, self._verb.replace("SUBSCRIBE", "UNSUBSCRIBE"))

    def _change(self, partition: int, channel: bytes, verb: str) -> None:
        if self._connection is None:
            return  # all are subscribed to when there is one
        self._unsent[channel] = verb, partition
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush(self._connection))

    async def _flush(self, connection: Connection) -> None:
        try:
            while self._unsent and connection is self._connection:
                changes, self._unsent = self._unsent, {}
                groups: dict[tuple[str, int], list[bytes]] = {}
                for channel, (verb, partition) in changes.items():
                    groups.setdefault((verb, partition if self._engine.is_cluster else 0), []).append(channel)
                await send(connection, [(verb, *names) for (verb, _), names in groups.items()])
        except (RedisError, OSError):
            pass  # who reads finds out as well

    async def _run(self) -> None:
        while True:
            try:
                connection = await connected(self._engine.address, await self._engine.find(self._host))
                try:
                    await self._subscribe(connection)
                    await self._receive(connection)
                finally:
                    self.live, self._connection = False, None
                    self._unsent, self._left = {}, set()
                    await connection.disconnect(nowait=True)
            except (RedisError, OSError, StoreUnavailable) as error:
                if isinstance(error, ResponseError):  # the server has not the slot of a channel, or not yet
                    self._on_moved()
                pause = PAUSES[min(self._tries, len(PAUSES) - 1)]
                await asyncio.sleep(pause * (0.5 + random.random()))
                self._tries += 1

    async def _subscribe(self, connection: Connection) -> None:
        self._connection = connection
        commands: list[Command] = [(self._verb, self._probe_channel())]
        for names in self._channels.values():
            listed = list(names)
            commands += [(self._verb, *listed[at : at + TOGETHER]) for at in range(0, len(listed), TOGETHER)]
        await send(connection, commands)

    async def _receive(self, connection: Connection) -> None:
        """Read until the connection ends."""
        probing = asyncio.get_running_loop().create_task(self._probe(connection))
        try:
            while True:
                message = await connection.read_response(disable_decoding=True)
                kind, channel, *_ = message
                if kind in (b"message", b"smessage"):
                    if channel.endswith(self._own):
                        self._probed()
                    else:
                        self._on_message(channel)
                elif kind in (b"unsubscribe", b"sunsubscribe"):
                    if channel not in self._left:
                        raise ResponseError("the server has the slot of a channel no more")
                    self._left.discard(channel)
        finally:
            probing.cancel()
            await asyncio.wait({probing})

    def _probed(self) -> None:
        """Take note of a probe that came back. The first one says that all subscriptions before it are made."""
        self._seen.set()
        self._tries = 0
        if not self.live:
            self.live = True
            self._on_connected()

    async def _probe(self, connection: Connection) -> None:
        """Publish to this line itself, and close the connection if that does not come back."""
        verb = "SPUBLISH" if self._engine.is_cluster else "PUBLISH"
        while True:
            self._seen.clear()
            command = (self._keys.slots[self._probed_in], (verb, self._probe_channel(), b""))
            try:
                async with asyncio.timeout(PROBE):
                    await self._engine.run([command])
                    await self._seen.wait()
            except TimeoutError:
                self.live = False
                await connection.disconnect(nowait=True)
                return
            await asyncio.sleep(PROBE)

    def _probe_channel(self) -> bytes:
        return self._keys.in_partition(self._probed_in, b"probe", self._own)
