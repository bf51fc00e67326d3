"""The Redis store: threads that several processes share, in Redis or Valkey, alone, in a cluster, or behind Sentinels.

A thread's log is a stream whose ids carry the token, so that the engine itself refuses a process that has lost the
thread. All else is changed by scripts, which check the token first. What is written is as durable as the engine's
append-only file; `durable` and `replicas` make each write wait for the disk, or for replicas.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from statecast.stores.base import Change
from statecast.stores.clock import Clock
from statecast.stores.errors import Damaged, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import MEMORY, SavedThread
from statecast.stores.records import File, Summary
from statecast.stores.shared import Claimed, Durability, Held, Place, Post, SharedChange, Tail
from statecast.stores.wake import Wake

from .address import address_of
from .checks import check, durability_of, identity_of
from .commits import fields_of
from .engine import engine_at, value_of
from .files import Files
from .keys import Keys, key_of
from .node import Reply
from .reading import in_order, pairs, records_of, thread_of
from .scripts import ADVANCE, CLAIM, FREE, LOAD, POST, RECORDS, RENEW, UNFINISHED, Argument, Command
from .summaries import Summaries
from .tails import Tails
from .wake import RedisWake
from .writing import Writer

__all__ = ["RedisStore"]

#: Seconds in which the replies to a process's calls are looked for where the calls were stored.
ANSWERED: Final = 180.0

#: What is stored is of this form. Another version of Statecast may write another one.
FORM: Final = b"1"

_call: Final = msgspec.msgpack.Encoder().encode
_called: Final = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


class RedisStore:
    """Stores threads in Redis or Valkey.

    Args:
        url: Where it is, see `address_of`.
        durable: Whether a write waits until the disk has it, as with `?durable=true`.
        clock: A monotonic clock, in seconds, by which threads are idle.

    Raises:
        ValueError: The URL is none of Redis.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, url: str, *, durable: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._address = address_of(url, durable=durable)
        self._keys = Keys(self._address.prefix)
        self._engine = engine_at(self._address)
        self._monotonic = clock
        self._clock = Clock(clock=clock)  #: the store's time: see `_advance`
        self._writer = Writer(self._engine, self._keys, lambda: self._clock.now())
        self._summaries = Summaries(self._engine, self._keys)
        self._files = Files(self._engine, self._keys)
        self._tails = Tails(self._engine, self._keys)
        self._called: dict[str, dict[int, float]] = {}  #: by process, the partitions of its calls, and until when
        self._form = self._keys.in_partition(0, b"form")
        self._time = self._keys.in_partition(0, b"time")
        self._level: Durability = "process"
        self._open = False

    async def open(self) -> None:
        """Connect, and check that the engine keeps what it is given.

        Raises:
            StoreUnavailable: It cannot be reached, is too old, deletes keys when it is full, or has what a newer
                version of Statecast wrote.
        """
        if self._open:
            return
        try:
            await self._prepare()
        except BaseException:
            await self._engine.aclose()
            raise
        self._open = True

    async def _prepare(self) -> None:
        await self._engine.open()
        await check(self._engine)
        first = self._keys.slots[0]
        commands: list[tuple[int, Command]] = [
            (first, ("SET", self._form, FORM, "NX", "GET")),
            (first, ("GET", self._time)),
        ]
        form, stored = await self._engine.ask(commands)
        if form not in (None, FORM):
            raise StoreUnavailable(
                f"expected data of version 1 in Redis, got version {form.decode()}; upgrade Statecast"
            )
        if stored:
            self._clock = Clock(stored.decode(), clock=self._monotonic)
        self._level, confirm = await durability_of(self._engine)
        self._writer.confirm = self._files.confirm = confirm

    async def aclose(self) -> None:
        """Close all connections; it may be opened again."""
        if self._open:
            self._open = False
            with contextlib.suppress(StoreUnavailable):  # time goes on where it was stored last
                await self._advance()
            await self._engine.aclose()

    async def probe(self) -> None:
        """Write a key that nobody reads, on each server."""
        commands: list[tuple[int, Command]] = [
            (slot, ("SET", self._keys.in_partition(partition, b"probe"), 1))
            for partition, slot in enumerate(self._keys.slots)
        ]
        for reply in await self._engine.run(commands, self._writer.confirm):
            value_of(reply)

    async def identity(self) -> str:
        """Return a name of the processes that the servers are, and of their histories."""
        return await identity_of(self._engine)

    async def durability(self) -> Durability:
        """Return what a write survives; where it is to wait for a confirmation, after one that was confirmed."""
        if self._writer.confirm is not None:
            await self.probe()
        return self._level

    def wake(self) -> Wake:
        """Return hints by PUB/SUB."""
        wake = RedisWake(self._engine, self._keys)
        self._writer.wake = wake
        return wake

    async def claim(self, key: Key, process: str, seconds: float) -> Claimed | Held:
        """Claim a thread."""
        place = self._keys.of(key)
        partition = self._keys.partitions[place.partition]
        keys = (place.meta, place.log, partition.unsettled, partition.counts)
        first, *rest = await self._do(place.partition, CLAIM(keys, place.name, process, _milliseconds(seconds)))
        if first == b"held":
            return Held(rest[0].decode())
        epoch, revision = rest
        token = int(first)
        self._writer.claimed(key, token)
        return Claimed(token, None if epoch is None else epoch.decode(), int(revision))

    async def renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        """Renew claims, those of a partition in one call."""
        calls: list[list[Key]] = []
        commands: list[tuple[int, Command]] = []
        for partition, keys in self._keys.by_partition(tokens):
            names, arguments = [self._keys.partitions[partition].unsettled], list[Argument]()
            for key in keys:
                place = self._keys.of(key)
                names.append(place.meta)
                arguments += (tokens[key], place.name)
            calls.append(keys)
            commands.append((self._keys.slots[partition], RENEW(names, _milliseconds(seconds), *arguments)))
        replies = await self._engine.ask(commands)
        lost = {keys[index]: tokens[keys[index]] for keys, found in zip(calls, replies, strict=True) for index in found}
        self._writer.released(lost)
        return list(lost)

    async def release(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims: renew them for no time."""
        await self.renew(tokens, 0.0)
        self._writer.released(tokens)

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes, all or none of each thread."""
        return await self._writer.write(changes, tokens)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes, whoever holds their threads."""
        await self._writer.write_whatever(changes)

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("the Redis store has to be waited for: use write()")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Leave everything to `write`."""
        return False

    async def tails(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads."""
        return await self._tails.read(places)

    async def post(self, post: Post) -> None:
        """Store a call with its thread."""
        place = self._keys.of(post.key)
        partition = self._keys.partitions[place.partition]
        replies = self._replies(place.partition, post.process)
        self._called.setdefault(post.process, {})[place.partition] = time.monotonic() + ANSWERED
        keys = (place.meta, place.posts, replies, partition.unsettled, partition.counts)
        await self._do(place.partition, POST(keys, place.name, post.id, _call((post.process, post.data))))

    async def posts(self, keys: Collection[Key]) -> list[Post]:
        """Return the calls of threads."""
        places = [self._keys.of(key) for key in keys]
        commands: list[tuple[int, Command]] = [
            (self._keys.slots[place.partition], ("HGETALL", place.posts)) for place in places
        ]
        found = zip(keys, await self._engine.ask(commands), strict=True)
        return [Post(key, id, *_called(data)) for key, flat in found for id, data in in_order(flat)]

    async def replies(self, process: str) -> Mapping[str, bytes]:
        """Return the replies to a process's calls, where this store has stored them."""
        now = time.monotonic()
        called = {partition: until for partition, until in self._called.get(process, {}).items() if until > now}
        self._called[process] = called
        if not called:
            del self._called[process]
        keys = [(self._keys.slots[partition], self._replies(partition, process)) for partition in called]
        found = await self._engine.ask([(slot, ("HGETALL", key)) for slot, key in keys])
        answered = [(slot, key, flat) for (slot, key), flat in zip(keys, found, strict=True) if flat]
        # Only what was read is deleted, and only now: a reply that is lost on its way is read again.
        await self._engine.ask([(slot, ("HDEL", key, *flat[::2])) for slot, key, flat in answered])
        return {id.decode(): reply for _, _, flat in answered for id, reply in pairs(flat)}

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        place = self._keys.of(key)
        keys = (place.meta, place.snap, place.log, place.inbox, place.ids, place.memory)
        return thread_of(key, await self._do(place.partition, LOAD(keys)))

    async def unfinished(self) -> list[Key]:
        """Return the threads with work left that no process holds."""
        commands = [
            (self._keys.slots[partition.number], UNFINISHED([partition.unsettled]))
            for partition in self._keys.partitions
        ]
        return [key_of(name) for found in await self._engine.ask(commands) for name in found]

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads that no process holds and that were not written to for so many seconds."""
        await self._advance()
        before = f"({self._clock.now() - seconds!r}"
        commands: list[tuple[int, Command]] = [
            (
                self._keys.slots[partition.number],
                ("ZRANGE", partition.idle if lasting else partition.idle_other, "-inf", before, "BYSCORE"),
            )
            for partition in self._keys.partitions
        ]
        idle = [key_of(name) for found in await self._engine.ask(commands) for name in found]
        calls = list(self._keys.by_partition(idle))
        free = await self._engine.ask(
            [
                (self._keys.slots[partition], FREE([self._keys.of(key).meta for key in keys]))
                for partition, keys in calls
            ]
        )
        return [keys[index] for (_, keys), found in zip(calls, free, strict=True) for index in found]

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        found = await self._summaries.of([key])
        return found[0] if found else None

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        return await self._summaries.latest(owner, archived, before, limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        return await self._summaries.named(owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        partition = self._keys.partition_of(thread_id)
        return bool(await self._do(partition, ("HEXISTS", self._keys.partitions[partition].owned, thread_id)))

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        place = self._keys.of(key)
        in_memory: Command = ("HGETALL", place.memory)
        found = await self._do(
            place.partition, in_memory if kind == MEMORY else RECORDS([place.records], fields_of(kind))
        )
        try:
            return records_of(found, kind)
        except ValueError as error:
            raise Damaged(f"a record cannot be read: {error}") from error

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        key = self._keys.in_partition(0, b"secrets")
        slot = self._keys.slots[0]
        _, found = await self._engine.ask([(slot, ("HSETNX", key, name, fresh)), (slot, ("HGET", key, name))])
        return bytes(found)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file."""
        return await self._files.write(name, type, owner, pieces)

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        return await self._files.find(name)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        return await self._files.read(name, start, end)

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        await self._files.delete(name)

    async def _advance(self) -> None:
        """Bring the stored time forward, or this store's, whichever is behind: processes count the same seconds."""
        mine = self._clock.written()
        stored = (await self._do(0, ADVANCE([self._time], mine))).decode()
        if stored != mine:
            self._clock = Clock(stored, clock=self._monotonic)

    async def _do(self, partition: int, command: Command) -> Reply:
        (reply,) = await self._engine.ask([(self._keys.slots[partition], command)])
        return reply

    def _replies(self, partition: int, process: str) -> bytes:
        return self._keys.in_partition(partition, b"replies", process.encode())


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
