"""Lists of an owner's summaries.

Each partition has an index of each owner: a sorted set whose members are ordered by their bytes. `a`, or `z` if it is
archived, with the time of the last message and the thread id is a summary; `x` with the mark of the app's id and the
time of its creation is a way to find it. A list merges what the partitions return.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from statecast.stores.key import Key
from statecast.stores.records import Summary

from .commits import mark_of, place_in_order
from .engine import Engine
from .keys import PARTITIONS, Keys
from .reading import summary_of
from .scripts import Command

__all__ = ["Summaries"]

#: Bytes of a time, and of a mark, in a member of an index.
_TIME = 8
_MARK = 16


class Summaries:
    """Reads summaries.

    Args:
        engine: Where they are.
        keys: Names the keys.
    """

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    async def of(self, keys: Sequence[Key]) -> list[Summary]:
        """Return the summaries of threads, of those that have one."""
        places = [self._keys.of(key) for key in keys]
        commands: list[tuple[int, Command]] = [
            (self._keys.slots[place.partition], ("HGETALL", place.card)) for place in places
        ]
        found = map(summary_of, keys, await self._engine.ask(commands))
        return [summary for summary in found if summary is not None]

    async def latest(
        self, owner: str | None, archived: bool | None, before: tuple[float, str] | None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner, the latest first."""
        kinds = {None: (b"a", b"z"), False: (b"a",), True: (b"z",)}[archived]
        commands: list[tuple[int, Command]] = []
        for partition in range(PARTITIONS):
            index = self._keys.listing(partition, owner)
            for kind in kinds:
                end = b"(" + bytes([kind[0] + 1])
                if before is not None:
                    end = b"(" + kind + place_in_order(before[0]) + before[1].encode()
                command = ("ZRANGE", index, end, b"[" + kind, "BYLEX", "REV", "LIMIT", 0, limit)
                commands.append((self._keys.slots[partition], command))
        members = [member[1:] for found in await self._engine.ask(commands) for member in found]
        return await self.of([Key(owner, member[_TIME:].decode()) for member in heapq.nlargest(limit, members)])

    async def named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner with an id of the app's."""
        first = b"[x" + mark_of(external_id)
        last = first + b"\xff" * (_TIME + 1)
        commands: list[tuple[int, Command]] = []
        for partition in range(PARTITIONS):
            index = self._keys.listing(partition, owner)
            commands.append((self._keys.slots[partition], ("ZRANGE", index, first, last, "BYLEX", "LIMIT", 0, 1)))
        members = [member for found in await self._engine.ask(commands) for member in found]
        if not members:
            return None
        found = await self.of([Key(owner, min(members)[1 + _MARK + _TIME :].decode())])
        return found[0] if found else None
