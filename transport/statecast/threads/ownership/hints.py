"""Hints: whoever follows something of a shared store hears that there may be something new of it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from statecast.stores import Wake
from statecast.stores.wake import WORK

__all__ = ["WORK", "Hints"]


class Hints:
    """Sends hints, and hands those that come to whoever follows their topics.

    Args:
        wake: How they travel.
    """

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._followers: dict[str, Callable[[], None]] = {}
        self._on_lost: list[Callable[[], None]] = []

    @property
    def live(self) -> bool:
        """Whether hints arrive now, as far as is known."""
        return self._wake.live

    async def open(self) -> None:
        """Begin to send and receive."""
        await self._wake.open(self._hinted, self._lost)

    async def aclose(self) -> None:
        """Send what was not sent yet, and end."""
        await self._wake.aclose()

    def send(self, topics: Collection[str]) -> None:
        """Hint at topics, without waiting."""
        if topics:
            self._wake.send(topics)

    def follow(self, topic: str, hinted: Callable[[], None]) -> None:
        """Call `hinted` when there may be something new of a topic."""
        self._followers[topic] = hinted
        self._wake.follow(topic)

    def unfollow(self, topic: str) -> None:
        """Hear no more of a topic."""
        if self._followers.pop(topic, None) is not None:
            self._wake.unfollow(topic)

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` when hints of any topic may have been lost."""
        self._on_lost.append(lost)

    def _hinted(self, topics: Collection[str]) -> None:
        for topic in topics:
            hinted = self._followers.get(topic)
            if hinted is not None:
                hinted()

    def _lost(self) -> None:
        for lost in self._on_lost:
            lost()
