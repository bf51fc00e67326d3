"""The PostgreSQL store: many processes on many machines, over a server that is there already.

A thread is a row, which carries its claim, and its entries are rows beside it, one for each write. PostgreSQL orders,
fences, times and keeps everything; nothing here remembers what another process may have changed.

Durability is the server's: with `synchronous_commit` on, which is its default, a write that was confirmed survives the
loss of power, and with `synchronous_standby_names` that of the machine.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import ClassVar, Final

from statecast.stores.base import Change
from statecast.stores.clock import Clock
from statecast.stores.errors import StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import MEMORY, SavedThread
from statecast.stores.records import File, Summary
from statecast.stores.shared import Claimed, Durability, Held, Place, Post, SharedChange, Tail
from statecast.stores.wake import NoWake, Wake

from . import statements
from .address import Address, is_postgres
from .columns import array_of, columns_of, key_of, names, owner_name, read_text, write_text
from .connections import Connections
from .files import Files
from .reading import SOME, summary_in, tail_in, thread_in
from .schema import is_current, migrate
from .wake import PostgresWake
from .writing import COARSE, Writing

__all__ = ["PostgresStore"]

#: Seconds that a migration may take, or the wait for the process that runs it.
MIGRATING: Final = 600.0

#: Threads whose claims are renewed in one statement: others that write to them wait for all of these.
AT_ONCE: Final = 200

#: Seconds after which a reply is deleted that nobody has asked for, and a key that is no thread and nobody claims.
EXPIRED: Final = 60.0
FORGOTTEN: Final = 86_400.0


class PostgresStore:
    """Stores threads in a database of PostgreSQL 14 or newer.

    Args:
        url: libpq's, and in its query what `docs/settings.md` says.
        patience: Seconds that a statement may take.
        clock: A monotonic clock, in seconds, by which threads are idle.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, url: str, *, patience: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = Address.of(url)
        self._connections = Connections(self._address, patience=patience)
        self._writing = Writing(self._connections)
        self._files = Files(self._connections)
        self._monotonic = clock
        self._clock: Clock | None = None  #: of the store: it goes on where the last process left it

    async def open(self) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            StoreUnavailable: It cannot be reached, or a newer version of Statecast has changed its schema.
        """
        if self._clock is not None:
            return
        self._connections.open()
        try:
            async with self._connections.borrow() as connection:
                current = await is_current(connection, self._address.schema)
            if not current:
                async with self._connections.borrow(MIGRATING) as connection:
                    await migrate(connection, self._address.schema)
            stored = await self._connections.fetch(statements.STORED_CLOCK)
            await self._files.drop_left_over()
        except BaseException:
            await self._connections.aclose()
            raise
        self._clock = Clock(stored[0][0] if stored else None, clock=self._monotonic)
        await self._store_time()

    async def aclose(self) -> None:
        """Close all connections. It may be opened again."""
        if self._clock is not None:
            try:
                await self._store_time()
            except StoreUnavailable:
                pass  # a thread may be idle a little later than it would
            self._clock = None
        await self._connections.aclose()

    async def probe(self) -> None:
        """Write something that nobody reads."""
        await self._connections.fetch(statements.PROBE)

    async def identity(self) -> str:
        """Return the cluster and its timeline: each failover and each restore begins another timeline.

        Where the cluster's name may not be asked for, as at some providers, it is the schema's, which is made up.
        """
        ((timeline,),) = await self._connections.fetch(statements.TIMELINE)
        try:
            ((system,),) = await self._connections.fetch(statements.SYSTEM)
        except StoreUnavailable:  # not allowed; if it is away, the next one says so
            ((system,),) = await self._connections.fetch(statements.SCHEMA_NAME, (secrets.token_hex(8),))
        return f"{system}-{int(timeline, 16)}"

    async def durability(self) -> Durability:
        """Return what a write survives, as the server is configured."""
        ((fsync, whole_pages, level, standbys),) = await self._connections.fetch(statements.DURABILITY)
        if fsync != "on" or whole_pages != "on" or level == "off":
            return "process"
        return "replica" if standbys and level in ("on", "remote_apply") else "disk"

    def wake(self) -> Wake:
        """Return hints by NOTIFY, or by what the URL says."""
        if self._address.wake == "none":
            return NoWake()
        if self._address.wake and not is_postgres(self._address.wake):
            return _hints_elsewhere(self._address.wake)
        return PostgresWake(self._address.wake or self._address.conninfo, channels=self._address.schema)

    async def claim(self, key: Key, process: str, seconds: float) -> Claimed | Held:
        """Claim a thread."""
        while True:
            async with self._connections.borrow() as connection:
                async with connection.pipeline():  # one transaction, of which nothing is seen before all of it
                    values = (*names(key), process, seconds, seconds)
                    claimed = await connection.execute(self._connections.named(statements.CLAIM), values)
                    last = await connection.execute(self._connections.named(statements.REVISIONS), columns_of([key]))
                rows, revisions = await claimed.fetchall(), await last.fetchall()
            if rows:
                ((row, token, epoch),) = rows
                self._writing.claimed(key, row)
                return Claimed(
                    token, None if epoch is None else read_text(epoch), 0 if epoch is None else revisions[0][1]
                )
            holder = await self._connections.fetch(statements.HOLDER, names(key))
            if holder and holder[0][0]:
                return Held(holder[0][0])

    async def renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        """Renew claims, some at a time."""
        lost: list[Key] = []
        keys = list(tokens)
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            values = (*columns_of(some), array_of(tokens[key] for key in some), seconds)
            renewed = {number for (number,) in await self._connections.fetch(statements.RENEW, values)}
            lost += [key for number, key in enumerate(some, 1) if number not in renewed]
        self._writing.forget(lost)
        return lost

    async def release(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims."""
        self._writing.forget(tokens)
        values = (*columns_of(tokens), array_of(tokens.values()))
        await self._connections.fetch(statements.RELEASE, values)

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes, all or none of each thread."""
        return await self._writing.write(changes, tokens, self._now)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes, all or none, whoever holds their threads."""
        await self._writing.commit(changes, self._now)

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("the PostgreSQL store has to be waited for: use write()")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Leave everything to `write`."""
        return False

    async def tails(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads since the places."""
        order = list(places.items())
        values = (
            SOME,
            *columns_of(places),
            [write_text(place.epoch) for place in places.values()],
            array_of(place.revision for place in places.values()),
            array_of(place.version for place in places.values()),
        )
        return [tail_in(row, order) for row in await self._connections.fetch(statements.TAILS, values)]

    async def post(self, post: Post) -> None:
        """Store a call."""
        await self._connections.fetch(statements.POST, (*names(post.key), post.id, post.process, post.data))

    async def posts(self, keys: Collection[Key]) -> list[Post]:
        """Return the calls of threads."""
        rows = await self._connections.fetch(statements.POSTS, columns_of(keys))
        return [Post(key_of(owner, thread_id), id, process, data) for owner, thread_id, id, process, data in rows]

    async def replies(self, process: str) -> Mapping[str, bytes]:
        """Return the replies to a process, and delete them."""
        return dict(await self._connections.fetch(statements.REPLIES, (process,)))

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        rows = await self._connections.fetch(statements.LOAD, (MEMORY, MEMORY, *names(key)))
        return thread_in(key, rows[0]) if rows else None

    async def unfinished(self) -> list[Key]:
        """Return the threads with work left that no process holds."""
        return [key_of(*row) for row in await self._connections.fetch(statements.UNFINISHED)]

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads not written to for so many seconds that no process holds; delete what has expired."""
        await self._store_time()
        await self._connections.fetch(statements.FORGET_REPLIES, (EXPIRED,))
        await self._connections.fetch(statements.FORGET, (FORGOTTEN,))
        before = self._now - seconds - (COARSE if seconds > 0 else 0.0)
        if lasting:
            rows = await self._connections.fetch(statements.IDLE_LASTING, {"before": before})
        else:
            rows = await self._connections.fetch(statements.IDLE, (before,))
        return [key_of(*row) for row in rows]

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        rows = await self._connections.fetch(statements.SUMMARY_OF, names(key))
        return summary_in(rows[0]) if rows else None

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        values: dict[str, object] = {"owner": owner_name(owner), "archived": archived, "limit": limit}
        if before is not None:
            values |= {"last": before[0], "thread_id": write_text(before[1])}
        statement = statements.SUMMARIES[archived is not None, before is not None]
        return [summary_in(row) for row in await self._connections.fetch(statement, values)]

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        rows = await self._connections.fetch(statements.SUMMARY_NAMED, (owner_name(owner), write_text(external_id)))
        return summary_in(rows[0]) if rows else None

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        return bool(await self._connections.fetch(statements.IS_OWNED, (write_text(thread_id),)))

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        rows = await self._connections.fetch(statements.RECORDS, (*names(key), write_text(kind)))
        return [(read_text(id), data) for id, data in rows]

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        ((data,),) = await self._connections.fetch(statements.SECRET, (write_text(name), fresh))
        return bytes(data)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file: each piece as it comes."""
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

    @property
    def _now(self) -> float:
        """The store's time."""
        if self._clock is None:
            raise StoreUnavailable(f"the store {self._address.name} is not open")
        return self._clock.now()

    async def _store_time(self) -> None:
        """Store the time, and take over that of a process whose time is later."""
        assert self._clock is not None
        ((latest,),) = await self._connections.fetch(statements.CLOCK, (self._clock.written(), self._clock.now()))
        self._clock = Clock(latest, clock=self._monotonic)


def _hints_elsewhere(url: str) -> Wake:
    try:
        from statecast.stores.redis.hints import RedisHints
    except ImportError as error:
        raise ImportError('hints by Redis need redis-py: pip install "statecast[redis]"') from error
    return RedisHints(url)
