"""`RedisHints`: hints by Redis for a store that is elsewhere, such as PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from statecast.stores.errors import StoreUnavailable
from statecast.stores.wake import OnHint, OnLost

from .address import address_of
from .engine import engine_at
from .keys import Keys
from .wake import RedisWake

__all__ = ["RedisHints"]

#: Seconds between tries to find the servers.
RETRY: Final = 1.0

_log: Final = logging.getLogger("statecast")


class RedisHints:
    """Sends and receives hints, over connections of its own.

    Args:
        url: As of a store.

    Raises:
        ValueError: The URL is none of Redis.
    """

    def __init__(self, url: str) -> None:
        address = address_of(url, durable=False)
        self._engine = engine_at(address)
        self._wake = RedisWake(self._engine, Keys(address.prefix))
        self._topics: set[str] = set()  #: that are followed
        self._opening: asyncio.Task[None] | None = None
        self._open = False

    @property
    def live(self) -> bool:
        """Whether hints arrive."""
        return self._open and self._wake.live

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Begin to connect."""
        self._opening = asyncio.get_running_loop().create_task(self._connect(on_hint, on_lost))

    async def aclose(self) -> None:
        """Send what was not sent yet, and close the connections."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
            self._opening = None
        if self._open:
            self._open = False
            await self._wake.aclose()
        await self._engine.aclose()

    def send(self, topics: Collection[str]) -> None:
        """Send hints, unless there is no connection yet."""
        if self._open:
            self._wake.send(topics)

    def follow(self, topic: str) -> None:
        """Receive hints at a topic."""
        self._topics.add(topic)
        if self._open:
            self._wake.follow(topic)

    def unfollow(self, topic: str) -> None:
        """Receive no more hints at a topic."""
        self._topics.discard(topic)
        if self._open:
            self._wake.unfollow(topic)

    async def _connect(self, on_hint: OnHint, on_lost: OnLost) -> None:
        reported = False
        while True:
            try:
                await self._engine.open()
                break
            except StoreUnavailable as error:
                if not reported:
                    _log.warning(
                        "notifications of other processes do not arrive, so this process polls for changes: %s", error
                    )
                reported = True
                await asyncio.sleep(RETRY)
        await self._wake.open(on_hint, on_lost)
        self._open = True
        for topic in self._topics:
            self._wake.follow(topic)
        on_lost()
