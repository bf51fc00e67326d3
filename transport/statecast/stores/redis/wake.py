"""Hints by PUB/SUB: a connection for them to each server, see `Line`.

Rule: a hint is its channel, and carries nothing. PUBLISH goes out whether the write before it was refused or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from statecast.stores.errors import StoreUnavailable
from statecast.stores.wake import OnHint, OnLost

from .engine import Engine
from .keys import Keys
from .line import Line
from .node import Host
from .scripts import Command

__all__ = ["RedisWake"]

#: Seconds between looks whether a cluster has moved slots.
LOOK: Final = 1.0


class RedisWake:
    """Sends and receives hints. In a cluster the channels are sharded: each is with the slot of its partition.

    Args:
        engine: Where to.
        keys: Names the channels.
    """

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys
        self._publish = "SPUBLISH" if engine.is_cluster else "PUBLISH"
        self._lines: dict[Host | None, Line] = {}  #: by server
        self._followed: dict[bytes, str] = {}  #: topics by channel
        self._unsent: set[str] = set()
        self._along: set[str] = set()  #: topics whose next hint was sent with what it is about
        self._heard: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()  #: set when a server says that it has a slot no more
        self._on_hint: OnHint = lambda topics: None
        self._on_lost: OnLost = lambda: None

    @property
    def live(self) -> bool:
        """Whether all connections deliver."""
        return bool(self._lines) and all(line.live for line in self._lines.values())

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Begin to connect."""
        self._on_hint, self._on_lost = on_hint, on_lost
        self._moved = asyncio.Event()
        await self._arrange()
        if self._engine.is_cluster:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def aclose(self) -> None:
        """Send what was not sent yet, and close the connections."""
        if self._sending is not None:
            await asyncio.wait({self._sending})
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.aclose()

    def send(self, topics: Collection[str]) -> None:
        """Send hints at the end of this turn of the event loop, or when those before have been sent."""
        if self._along:
            along, self._along = self._along, self._along.difference(topics)
            topics = set(topics) - along
        self._unsent.update(topics)
        if self._unsent and (self._sending is None or self._sending.done()):
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def hint(self, topic: str) -> tuple[int, Command]:
        """Return what hints at a topic, for whoever sends it behind what it is about."""
        partition, channel = self._channel(topic)
        return self._keys.slots[partition], (self._publish, channel, b"")

    def sent_along(self, topic: str) -> None:
        """Leave out the next hint at a topic: it was sent already."""
        self._along.add(topic)

    def follow(self, topic: str) -> None:
        """Subscribe to a topic's channel."""
        partition, channel = self._channel(topic)
        self._followed[channel] = topic
        if (line := self._lines.get(self._engine.host_of(self._keys.slots[partition]))) is not None:
            line.follow(partition, channel)

    def unfollow(self, topic: str) -> None:
        """Unsubscribe from a topic's channel."""
        partition, channel = self._channel(topic)
        self._followed.pop(channel, None)
        if (line := self._lines.get(self._engine.host_of(self._keys.slots[partition]))) is not None:
            line.unfollow(partition, channel)

    def _channel(self, topic: str) -> tuple[int, bytes]:
        partition = self._keys.partition_of(topic)
        return partition, self._keys.in_partition(partition, b"hint", topic.encode())

    async def _send(self) -> None:
        while self._unsent:
            topics, self._unsent = self._unsent, set()
            hints = [self.hint(topic) for topic in topics]
            await self._engine.run(hints)  # what is not sent is found by those who look

    def _hear(self, channel: bytes) -> None:
        """Pass hints on together, as many as have arrived."""
        topic = self._followed.get(channel)
        if topic is not None:
            if not self._heard:
                asyncio.get_running_loop().call_soon(self._pass_on)
            self._heard.add(topic)

    def _pass_on(self) -> None:
        heard, self._heard = self._heard, set()
        self._on_hint(heard)

    async def _watch(self) -> None:
        """Follow the slots of a cluster where they go."""
        while True:
            try:
                async with asyncio.timeout(LOOK):
                    await self._moved.wait()
                self._moved.clear()
                await self._engine.refresh()
            except (TimeoutError, StoreUnavailable):
                pass
            if await self._arrange():
                self._on_lost()

    async def _arrange(self) -> bool:
        """Have a line to each server, and each channel on the one that has its slot; return whether any was moved."""
        partitions: dict[Host | None, set[int]] = {}
        for partition, slot in enumerate(self._keys.slots):
            partitions.setdefault(self._engine.host_of(slot), set()).add(partition)
        gone = [host for host in self._lines if host not in partitions]
        for host in gone:
            await self._lines.pop(host).aclose()
        channels: dict[int, set[bytes]] = {}
        for channel, topic in self._followed.items():
            channels.setdefault(self._keys.partition_of(topic), set()).add(channel)
        moved = bool(gone)
        for host, here in partitions.items():
            line = self._lines.get(host)
            if line is None:
                line = self._lines[host] = Line(
                    self._engine, self._keys, host, self._hear, lambda: self._on_lost(), self._moved.set
                )
            elif line.partitions == here:
                continue
            moved = True
            line.take({partition: channels.get(partition, set()) for partition in here})
        return moved
