"""Names of keys: where in the engine a thread is.

Threads are spread over `PARTITIONS` by their ids. The keys of a partition carry its tag in braces, so that a cluster
has them on one node, where one script can change them together. The owner does not matter, and so a thread that moves
to another owner stays in its partition.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from statecast.stores.key import Key

__all__ = ["PARTITIONS", "SLOTS", "Keys", "Partition", "Place", "key_of", "name_of", "slot_of"]

PARTITIONS: Final = 64  #: what is stored depends on it

SLOTS: Final = 16_384  #: of every cluster

#: Threads that one call of a script looks at: nothing else runs meanwhile.
AT_ONCE: Final = 256

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[str, str | None]).decode


class Partition(NamedTuple):
    """The keys of a partition that are not a thread's."""

    number: int
    unsettled: bytes  #: a sorted set: names of threads with work left, by when their claims end
    idle: bytes  #: a sorted set: names of lasting threads, by when they were written to
    idle_other: bytes  #: likewise, of all others
    counts: bytes  #: a hash: the `floor` of tokens, and the last `place` in an order
    owned: bytes  #: a hash: thread ids, and how many summaries of an owner have them


class Place(NamedTuple):
    """The keys of a thread."""

    partition: int
    name: bytes  #: of the thread
    meta: bytes  #: a hash: token, process, until; of the thread epoch, agent, revision of the snapshot, and more
    log: bytes  #: a stream
    snap: bytes  #: the state of the snapshot
    inbox: bytes  #: a hash: batches by run id
    ids: bytes  #: a hash: what the ids of commands stand for
    memory: bytes  #: a hash: records of the kind `MEMORY`, by id
    records: bytes  #: a hash: all others, by kind and id
    card: bytes  #: a hash: the summary
    posts: bytes  #: a hash: calls by id
    listing: bytes  #: a sorted set: the owner's summaries in this partition, see `summaries`


def slot_of(tag: bytes) -> int:
    """Return the slot of a cluster that a tag is in."""
    return binascii.crc_hqx(tag, 0) % SLOTS


def _tags() -> list[bytes]:
    """Return a tag for each partition, spread evenly over the slots, which clusters divide into ranges."""
    tags: dict[int, bytes] = {}
    number = 0
    while len(tags) < PARTITIONS:
        tag = b"%d" % number
        tags.setdefault(slot_of(tag) * PARTITIONS // SLOTS, tag)
        number += 1
    return [tags[partition] for partition in range(PARTITIONS)]


def name_of(key: Key) -> bytes:
    """Return the name of a thread in the engine."""
    return _encode((key.thread_id, key.owner))


def key_of(name: bytes) -> Key:
    """Return the thread that a name stands for."""
    thread_id, owner = _decode(name)
    return Key(owner, thread_id)


class Keys:
    """Names keys.

    Args:
        prefix: What all keys begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._heads = [b"%b:{%b}:" % (prefix.encode(), tag) for tag in _tags()]
        self.slots = [slot_of(head[head.index(b"{") + 1 : head.index(b"}")]) for head in self._heads]
        self.partitions = [
            Partition(number, *(head + name for name in (b"unsettled", b"idle", b"idle-other", b"count", b"owned")))
            for number, head in enumerate(self._heads)
        ]
        self.of = lru_cache(maxsize=65_536)(self._of)  #: returns the keys of a thread

    def partition_of(self, text: str) -> int:
        """Return the partition of a thread id, or of another name."""
        return zlib.crc32(text.encode()) % PARTITIONS

    def by_partition(self, keys: Iterable[Key]) -> Iterator[tuple[int, list[Key]]]:
        """Yield threads by partition, as many as one call of a script may look at."""
        partitions: dict[int, list[Key]] = {}
        for key in keys:
            partitions.setdefault(self.of(key).partition, []).append(key)
        for partition, found in partitions.items():
            for start in range(0, len(found), AT_ONCE):
                yield partition, found[start : start + AT_ONCE]

    def in_partition(self, partition: int, *parts: bytes) -> bytes:
        """Return another key of a partition."""
        return self._heads[partition] + b":".join(parts)

    def listing(self, partition: int, owner: str | None) -> bytes:
        """Return the key of an owner's summaries in a partition."""
        return self.in_partition(partition, b"index", _encode(owner))

    def _of(self, key: Key) -> Place:
        partition = self.partition_of(key.thread_id)
        name = name_of(key)
        kinds = (b"meta", b"log", b"snap", b"inbox", b"ids", b"memory", b"records", b"card", b"posts")
        keys = [self.in_partition(partition, kind, name) for kind in kinds]
        return Place(partition, name, *keys, self.listing(partition, key.owner))  # type: ignore[call-arg]  # as many
