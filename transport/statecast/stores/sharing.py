"""`Sharing`: makes a store of one process a store that several use, through one object in the process that has it open.

Claims, calls, replies and hints are in memory, and gone with the process: what another one claimed before is claimed no
more, and its tokens count no more either.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import ClassVar, Final
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from .base import Change, Deleted, Moved, Store
from .by_thread import by_thread
from .errors import ChangeRefused, Fenced
from .key import Key
from .latest import Latest
from .log import Compacted, Created, SavedThread
from .records import File, Summary
from .shared import Claimed, Durability, Held, Place, Post, PostTaken, SharedChange, Tail
from .wake import OnHint, OnLost, Wake

__all__ = ["Sharing"]

#: Threads whose latest entries are kept, about; and seconds after which a reply that nobody asked for is gone.
MOST: Final = 10_000
EXPIRED: Final = 60.0


class _Lease(msgspec.Struct):
    process: str
    token: int
    until: float


class Sharing:
    """Lets several users share a store in one process; each opens and closes it.

    Args:
        store: The store. Nobody else may write to it.
        clock: By which claims count, in seconds.
        tokens: The tokens of claims are greater than this.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, store: Store, *, clock: Callable[[], float] = monotonic, tokens: int = 0) -> None:
        self.store = store
        self.name = "one"  #: what `identity` returns
        self._clock = clock
        self._users = 0
        self._leases: dict[Key, _Lease] = {}
        self._tokens: dict[Key, int] = {}  #: of the latest claim of each thread
        self._floor = tokens  #: no smaller than the latest token of a thread that is not in `_tokens`
        self._known: dict[Key, Latest] = {}
        self._versions = tokens  #: of inboxes; those of an earlier process are smaller, as its tokens are
        self._last: dict[Key, tuple[int, Sequence[SharedChange]]] = {}  #: what was written last under which token
        self._posts: dict[Key, dict[str, Post]] = {}
        self._replies: dict[str, dict[str, tuple[float, bytes]]] = {}
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()  #: those that are in use
        self._wakes: set[_SharedWake] = set()

    async def open(self) -> None:
        """Open the store for one more user."""
        if self._users == 0:
            await self.store.open()
        self._users += 1

    async def aclose(self) -> None:
        """Close the store after its last user."""
        if self._users > 0:
            self._users -= 1
            if self._users == 0:
                await self.store.aclose()

    async def probe(self) -> None:
        """Probe the store."""
        await self.store.probe()

    async def identity(self) -> str:
        """Return the name of this store: it loses nothing that its threads' epochs do not tell."""
        return self.name

    async def durability(self) -> Durability:
        """Return what a write survives, as the store behind this says: at least the end of a process."""
        return await self.store.durability() or "process"

    def wake(self) -> Wake:
        """Return a way to send hints to all others that this returned."""
        return _SharedWake(self._wakes)

    async def claim(self, key: Key, process: str, seconds: float) -> Claimed | Held:
        """Claim a thread."""
        async with self._alone([key]):
            lease = self._leases.get(key)
            if lease is not None and lease.process != process and lease.until > self._clock():
                return Held(lease.process)
            known = await self._find(key)
            token = self._tokens.get(key, self._floor) + 1
            self._tokens[key] = token
            self._leases[key] = _Lease(process, token, self._clock() + seconds)
        self._forget_some()
        return Claimed(token, None if known is None else known.epoch, 0 if known is None else known.revision)

    async def renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        """Renew claims."""
        until = self._clock() + seconds
        lost = []
        for key, token in tokens.items():
            lease = self._leases.get(key)
            if lease is None or lease.token != token:
                lost.append(key)
            else:
                lease.until = until
        return lost

    async def release(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims."""
        for key, token in tokens.items():
            lease = self._leases.get(key)
            if lease is not None and lease.token == token:
                lease.until = self._clock()

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes, all or none of each thread."""
        failed: dict[Key, Exception] = {}
        groups = by_thread(changes)
        keys = {key for change in changes for key in _keys(change)}
        async with self._alone(keys):
            fresh: list[list[SharedChange]] = []
            for group in groups:
                if not self._counts(group, tokens):
                    failed.update((change.key, Fenced("another process has claimed the thread")) for change in group)
                elif self._last.get(group[0].key) != (tokens.get(group[0].key), _trace_of(group)):
                    fresh.append(group)  # else it is a repetition of what was written
            try:
                await self._commit([change for group in fresh for change in group])
            except ChangeRefused:
                for group in fresh.copy():
                    try:
                        await self._commit(group)
                    except ChangeRefused as error:
                        failed.update((change.key, error) for change in group)
                        fresh.remove(group)
            for group in fresh:
                self._written(group, tokens)
        return failed

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes, whoever holds their threads."""
        async with self._alone({key for change in changes for key in _keys(change)}):
            await self._commit(changes)
            self._written(changes, {})

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("a shared store has to be waited for: use write()")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Leave everything to `write`."""
        return False

    async def tails(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads since the places."""
        found = []
        for key, place in places.items():
            known = self._known.get(key)
            if known is None:
                async with self._alone([key]):
                    known = await self._find(key)
            if known is None:
                found.append(_gone(key, place))
            elif (tail := known.tail(key, place)) is not None:
                found.append(tail)
        return found

    async def post(self, post: Post) -> None:
        """Store a call."""
        self._posts.setdefault(post.key, {}).setdefault(post.id, post)

    async def posts(self, keys: Collection[Key]) -> list[Post]:
        """Return the calls of threads."""
        return [post for key in keys for post in self._posts.get(key, {}).values()]

    async def replies(self, process: str) -> Mapping[str, bytes]:
        """Return the replies to a process, and delete them."""
        return {id: reply for id, (_, reply) in self._replies.pop(process, {}).items()}

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        return await self.store.load(key)

    async def unfinished(self) -> list[Key]:
        """Return the threads with work left that no process holds."""
        now = self._clock()
        keys = dict.fromkeys([*await self.store.unfinished(), *self._posts])
        return [key for key in keys if (lease := self._leases.get(key)) is None or lease.until <= now]

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the idle threads that no process holds."""
        now = self._clock()
        keys = await self.store.idle_for(seconds, lasting=lasting)
        return [key for key in keys if (lease := self._leases.get(key)) is None or lease.until <= now]

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        return await self.store.summary(key)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads."""
        return await self.store.summaries(owner, archived=archived, before=before, limit=limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary with this external id."""
        return await self.store.summary_named(owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id has an owner."""
        return await self.store.is_owned(thread_id)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        return await self.store.records(key, kind)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return the secret of a name."""
        return await self.store.secret(name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file."""
        return await self.store.write_file(name, type, owner, pieces)

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        return await self.store.file(name)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        return await self.store.read_file(name, start, end)

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        await self.store.delete_file(name)

    def _counts(self, group: Sequence[SharedChange], tokens: Mapping[Key, int]) -> bool:
        """Return whether the tokens of a group of changes are the latest, and what it moves is moved to nobody's."""
        for change in group:
            lease = self._leases.get(change.key)
            if change.key in tokens and (lease is None or lease.token != tokens[change.key]):
                return False
            if isinstance(change, Moved) and (to := Key(change.owner, change.key.thread_id)) not in tokens:
                other = self._leases.get(to)
                if other is not None and other.until > self._clock():
                    return False
        return True

    async def _commit(self, changes: Sequence[SharedChange]) -> None:
        stored = [change for change in changes if not isinstance(change, PostTaken)]
        if not stored:
            return
        if self.store.instant:
            self.store.commit_nowait(stored)
        elif not self.store.append_nowait(stored):
            await self.store.commit(stored)

    def _written(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> None:
        for change in changes:
            key = change.key
            if isinstance(change, PostTaken):
                self._take(change)
            elif isinstance(change, Created | Deleted | Moved):
                for concerned in _keys(change):
                    self._known.pop(concerned, None)
            elif (known := self._known.get(key)) is not None:
                known.apply(change)
        if changes and changes[0].key in tokens:
            self._last[changes[0].key] = tokens[changes[0].key], _trace_of(changes)

    def _take(self, taken: PostTaken) -> None:
        posts = self._posts.get(taken.key, {})
        posts.pop(taken.id, None)
        if not posts:
            self._posts.pop(taken.key, None)
        now = self._clock()
        for process, replies in list(self._replies.items()):
            if all(at < now - EXPIRED for at, _ in replies.values()):
                del self._replies[process]
        self._replies.setdefault(taken.process, {})[taken.id] = now, taken.reply

    async def _find(self, key: Key) -> Latest | None:
        """Return the end of a thread's log; None if there is no such thread. The caller has the thread's lock."""
        known = self._known.get(key)
        if known is None:
            saved = await self.store.load(key)
            if saved is not None:
                self._versions += 1_000_000  # a thread that was forgotten has other versions than before
                known = self._known[key] = Latest(saved, self._versions)
        return known

    def _forget_some(self) -> None:
        """Forget the oldest threads that nobody has claimed, where there are many."""
        now = self._clock()
        for key in list(self._known)[: len(self._known) - MOST]:
            lease = self._leases.get(key)
            if key not in self._locks and (lease is None or lease.until <= now):
                del self._known[key]
        for key in list(self._leases)[: len(self._leases) - MOST]:
            if self._leases[key].until <= now and key not in self._locks:
                del self._leases[key]
                self._last.pop(key, None)
                self._floor = max(self._floor, self._tokens.pop(key))

    @contextlib.asynccontextmanager
    async def _alone(self, keys: Iterable[Key]) -> AsyncIterator[None]:
        """Let one at a time claim threads or write to them."""
        ordered = sorted(keys, key=lambda key: (key.thread_id, key.owner is None, key.owner or ""))
        async with contextlib.AsyncExitStack() as stack:
            for key in ordered:
                await stack.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
            yield


class _SharedWake:
    """Hints within one process."""

    def __init__(self, all: set[_SharedWake]) -> None:
        self.live = False
        self._all = all
        self._followed: set[str] = set()
        self._sending: set[str] = set()
        self._on_hint: OnHint | None = None

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        self._on_hint = on_hint
        self.live = True
        self._all.add(self)

    async def aclose(self) -> None:
        self._send()
        self._all.discard(self)
        self.live = False

    def send(self, topics: Collection[str]) -> None:
        if topics and not self._sending:
            asyncio.get_running_loop().call_soon(self._send)
        self._sending.update(topics)

    def follow(self, topic: str) -> None:
        self._followed.add(topic)

    def unfollow(self, topic: str) -> None:
        self._followed.discard(topic)

    def _send(self) -> None:
        topics, self._sending = self._sending, set()
        for wake in list(self._all):
            hinted = topics & wake._followed
            if hinted and wake._on_hint is not None:
                wake._on_hint(hinted)


def _trace_of(changes: Sequence[SharedChange]) -> Sequence[SharedChange]:
    """Return changes as they are remembered, to recognize a repetition: of whole states there are only digests."""
    return [
        replace(change, state=hashlib.blake2b(change.state).digest())
        if isinstance(change, Created | Compacted)
        else change
        for change in changes
    ]


def _keys(change: SharedChange) -> list[Key]:
    return [change.key, Key(change.owner, change.key.thread_id)] if isinstance(change, Moved) else [change.key]


def _gone(key: Key, place: Place) -> Tail:
    return Tail(key=key, epoch=place.epoch, version=place.version, agent="", entries=(), inbox=(), gone=True)
