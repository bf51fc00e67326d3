"""Turns: one request at a time opens a thread, or writes what belongs to it; others wait for their turn."""

from __future__ import annotations

import asyncio

from statecast.stores import Key

__all__ = ["Turn", "Turns"]


class _Lock(asyncio.Lock):
    """A lock that counts who wants it, who has it included."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = 0


class Turns:
    """The locks that are held or waited for, by key; there are none of other keys."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[Key, _Lock] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._locks

    def of(self, key: Key) -> Turn:
        """Return a turn at a key, for `async with`."""
        return Turn(self._locks, key)


class Turn:
    """A turn at a key: `async with` waits for it, and gives it on.

    Args:
        locks: Those that are held or waited for.
        key: Whose turn it is.
    """

    __slots__ = ("_key", "_lock", "_locks")

    def __init__(self, locks: dict[Key, _Lock], key: Key) -> None:
        self._locks = locks
        self._key = key

    async def __aenter__(self) -> None:
        lock = self._locks.get(self._key)
        if lock is None:
            lock = self._locks[self._key] = _Lock()
        self._lock = lock
        lock.wanted += 1
        try:
            await lock.acquire()
        except BaseException:
            self._give_up()
            raise

    async def __aexit__(self, *error: object) -> None:
        self._lock.release()
        self._give_up()

    def _give_up(self) -> None:
        lock = self._lock
        lock.wanted -= 1
        if not lock.wanted:
            del self._locks[self._key]
