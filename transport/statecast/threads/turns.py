"""Turns: one request at a time opens a thread, or writes what belongs to it; others wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque

from statecast.stores import Key

__all__ = ["Turn", "Turns"]


class Turns:
    """The turns that are taken or waited for, by key."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[Key, deque[asyncio.Future[None]] | None] = {}  #: who waits; None: nobody has waited yet

    def __contains__(self, key: Key) -> bool:
        return key in self._taken

    def of(self, key: Key) -> Turn:
        """Return a turn at a key, for `async with`."""
        return Turn(self, key)

    async def take(self, key: Key) -> None:
        """Wait for a turn, first come first served, and take it."""
        if key not in self._taken:
            self._taken[key] = None
            return
        waiting = self._taken[key]
        if waiting is None:
            waiting = self._taken[key] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came with the cancellation
                self.give_on(key)
            raise

    def give_on(self, key: Key) -> None:
        """Give a turn on to whoever has waited longest, if anyone has."""
        waiting = self._taken[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._taken[key]


class Turn:
    """A turn at a key: `async with` waits for it, and gives it on.

    Args:
        turns: Those of all keys.
        key: The key.
    """

    __slots__ = ("_key", "_turns")

    def __init__(self, turns: Turns, key: Key) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        await self._turns.take(self._key)

    async def __aexit__(self, *error: object) -> None:
        self._turns.give_on(self._key)
