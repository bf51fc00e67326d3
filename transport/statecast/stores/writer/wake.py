"""`WriterWake`: hints on the connection to the writer."""

from __future__ import annotations

from collections.abc import Collection

from statecast.stores.wake import OnHint, OnLost

from .link import Link

__all__ = ["WriterWake"]


class WriterWake:
    """Sends and receives hints through the writer.

    Args:
        link: The connection.
        wakes: The open ones on this connection.
    """

    def __init__(self, link: Link, wakes: list[WriterWake]) -> None:
        self.followed: set[str] = set()
        self._link = link
        self._wakes = wakes
        self._on_hint: OnHint | None = None
        self._on_lost: OnLost | None = None

    @property
    def live(self) -> bool:
        """Whether there is a connection to the writer."""
        return self._on_hint is not None and self._link.live

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Receive hints from now on, while the store is open."""
        self._on_hint, self._on_lost = on_hint, on_lost
        if self not in self._wakes:
            self._wakes.append(self)
        self._link.tell("follow", list(self.followed))

    async def aclose(self) -> None:
        """Receive no more hints."""
        if self in self._wakes:
            self._wakes.remove(self)
        self._on_hint = self._on_lost = None

    def send(self, topics: Collection[str]) -> None:
        """Hint at topics: what else is sent in this turn of the event loop leaves with it."""
        self._link.hint(topics)

    def follow(self, topic: str) -> None:
        """Receive hints at a topic."""
        self.followed.add(topic)
        self._link.tell("follow", [topic])

    def unfollow(self, topic: str) -> None:
        """Receive no more hints at a topic."""
        self.followed.discard(topic)
        if not any(topic in wake.followed for wake in self._wakes):
            self._link.tell("unfollow", [topic])

    def hint(self, topics: Collection[str]) -> None:
        """Pass hints on."""
        if self._on_hint is not None:
            self._on_hint(topics)

    def begin(self) -> None:
        """Follow on a new connection what was followed before: what came in between was lost."""
        self._link.tell("follow", list(self.followed))
        if self._on_lost is not None:
            self._on_lost()
