"""`Tails`: reads what is new on threads since the places that their followers know.

Most often a thread that is looked at has a few new entries and nothing else. Where the entry at the place is known by
its id, two plain commands read that: the log from this entry on, and then the thread's epoch and version. They cost the
engine a fourth of what a script costs, which finds everything else: entries that were lost or compacted, a changed
inbox, another epoch.

Rule: the epoch and the version are read after the log, on the same connection. An epoch never comes back, so entries
that were read before it are of the same one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from statecast.stores.key import Key
from statecast.stores.shared import Place, Tail

from .engine import Engine
from .keys import Keys
from .node import Reply
from .reading import near_of, tail_of
from .scripts import TAILS, Argument, Command

__all__ = ["Tails"]

#: Bytes of entries in a tail that a script reads, about.
SOME: Final = 262_144

#: Entries of the stream in a tail that plain commands read, with the one that is known; each is one batch.
FEW: Final = 9

#: Threads of which the entry at the follower's place is known.
MOST: Final = 65_536


class _Known(NamedTuple):
    place: Place
    id: bytes  #: of the last entry, which is at the place
    agent: str


class Tails:
    """Reads tails.

    Args:
        engine: From where.
        keys: Names the keys.
    """

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys
        self._known: dict[Key, _Known] = {}

    async def read(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads, of those where anything is.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """
        near = {key: known for key, place in places.items() if (known := self._near(key, place)) is not None}
        calls, scripts = self._scripts({key: place for key, place in places.items() if key not in near})
        replies = await self._engine.ask([*self._looks(near), *scripts])
        count = len(near)
        tails = self._found(places, calls, replies[2 * count :])
        far: dict[Key, Place] = {}
        for (key, known), log, meta in zip(near.items(), replies[:count], replies[count : 2 * count], strict=True):
            if not _goes_on(known, log, meta):
                far[key] = known.place
            elif len(log) > 1:
                tails.append(self._take(near_of(key, known.place, known.agent, log, more=len(log) == FEW), log[-1][0]))
        if far:
            calls, scripts = self._scripts(far)
            tails += self._found(places, calls, await self._engine.ask(scripts))
        return tails

    def _near(self, key: Key, place: Place) -> _Known | None:
        """Return what is known of the entry at a place; None if it is not, or if the commands could lose their order.

        In a cluster, one of them may be sent again after the other, to where their slot is then.
        """
        known = self._known.get(key)
        return None if known is None or known.place != place or self._engine.is_cluster else known

    def _looks(self, near: Mapping[Key, _Known]) -> Iterator[tuple[int, Command]]:
        """Yield the commands that read logs, and then those that read epochs and versions."""
        places = [(self._keys.of(key), known) for key, known in near.items()]
        for place, known in places:
            yield self._keys.slots[place.partition], ("XRANGE", place.log, known.id, "+", "COUNT", FEW)
        for place, _ in places:
            yield self._keys.slots[place.partition], ("HMGET", place.meta, "epoch", "version")

    def _scripts(self, places: Mapping[Key, Place]) -> tuple[list[list[Key]], list[tuple[int, Command]]]:
        """Return the calls of a script that find what is new, and the threads of each."""
        calls: list[list[Key]] = []
        commands: list[tuple[int, Command]] = []
        for partition, keys in self._keys.by_partition(places):
            names, arguments = list[bytes](), list[Argument]()
            for key in keys:
                place, known = self._keys.of(key), places[key]
                names += (place.meta, place.log, place.inbox)
                arguments += (known.epoch, known.revision, known.version)
            calls.append(keys)
            commands.append((self._keys.slots[partition], TAILS(names, SOME, *arguments)))
        return calls, commands

    def _found(
        self, places: Mapping[Key, Place], calls: Collection[Sequence[Key]], replies: Sequence[Reply]
    ) -> list[Tail]:
        """Return the tails that a script has found."""
        tails = []
        for keys, reply in zip(calls, replies, strict=True):
            for one in reply:
                key = keys[one[0]]
                tail = tail_of(key, places[key], one)
                log = () if tail.gone else one[1][5]
                tails.append(self._take(tail, log[-1][0]) if log else tail)
        return tails

    def _take(self, tail: Tail, last: bytes) -> Tail:
        """Take note of where its follower is after a tail, and return it."""
        if tail.entries:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[tail.key] = _Known(Place(tail.epoch, tail.entries[-1][0], tail.version), last, tail.agent)
        return tail


def _goes_on(known: _Known, log: Reply, meta: Reply) -> bool:
    """Return whether a log has the known entry still, and all else is as it was."""
    epoch, version = meta
    place = known.place
    return bool(log) and log[0][0] == known.id and epoch == place.epoch.encode() and version == b"%d" % place.version
