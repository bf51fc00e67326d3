"""Hints: how processes that share a store tell each other that there may be something new.

A hint is a topic and nothing else. Hints may be lost, doubled or late, which costs latency only: whoever follows a
topic also looks into the store from time to time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from .key import Key

__all__ = ["WORK", "NoWake", "Wake", "topic_of"]

#: The topic of work that is left for any process: threads that were given up with something to do.
WORK: Final = "work"

#: Called on the event loop with topics of which there may be something new; some of them may not be followed.
OnHint = Callable[[Collection[str]], None]

#: Called when hints may have been lost, as after a reconnect: look for everything that is followed.
OnLost = Callable[[], None]


class Wake(Protocol):
    """Sends and receives hints. Nothing here raises: while the engine is away, nothing is sent or received."""

    @property
    def live(self) -> bool:
        """Whether hints arrive now, as far as is known; else whoever follows something looks more often."""

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Begin to send and receive. It may return before there is a connection."""

    async def aclose(self) -> None:
        """Send what was not sent yet, and end. It may be opened again."""

    def send(self, topics: Collection[str]) -> None:
        """Hint at topics, without waiting: hints of about a millisecond leave together, each topic once."""

    def follow(self, topic: str) -> None:
        """Receive hints at a topic from now on, soon."""

    def unfollow(self, topic: str) -> None:
        """Receive no more hints at a topic."""


class NoWake:
    """No hints: everything is found by looking."""

    live = False

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""

    def send(self, topics: Collection[str]) -> None:
        """Do nothing."""

    def follow(self, topic: str) -> None:
        """Do nothing."""

    def unfollow(self, topic: str) -> None:
        """Do nothing."""


def topic_of(key: Key) -> str:
    """Return the topic of a thread."""
    return f"t:{key.thread_id}" if key.owner is None else f"u:{len(key.owner)}:{key.owner}:{key.thread_id}"
