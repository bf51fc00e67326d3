"""Leases: the threads that this process has claimed in a store that it shares with others, and their tokens.

Rule: the lease says who may try, only the token decides what counts. What happens here saves work that would be fenced,
and lets others go on soon; that nothing is written twice is the store's own doing.

A lease counts from the moment before its claim was sent, by this process's own clock. Once its time is over, nothing is
written under it before the store has confirmed it again. While the store is away, no other process can claim the
thread either, so that the run goes on and waits; if the token still counts afterwards, nothing was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from statecast.stores import (
    MEMORY,
    Fenced,
    Held,
    Key,
    RecordErased,
    RecordWritten,
    SharedChange,
    SharedStore,
    StoreUnavailable,
    SummaryChanged,
    topic_of,
)
from statecast.stores.shared import Claimed

__all__ = ["HeldElsewhere", "Leases"]

#: Part of a lease's seconds by which it ends early here: the store's clock may run faster, and a write takes its time.
MARGIN: Final = 0.1

#: Renewals within the seconds of a lease.
RENEWALS: Final = 3

#: After a renewal that failed, the part of the usual time after which the next one follows.
SOON: Final = 0.2

_log: Final = logging.getLogger("statecast")


class HeldElsewhere(Exception):
    """Another process holds the thread.

    Args:
        key: The thread.
        process: The process.
    """

    def __init__(self, key: Key, process: str) -> None:
        super().__init__(f"the thread {key.thread_id!r} is held by the process {process}")
        self.key = key
        self.process = process


class _Lease(msgspec.Struct):
    token: int
    since: float  #: when it was claimed
    until: float  #: until when it is confirmed


class Leases:
    """Claims threads, and writes to them under the claims' tokens.

    Args:
        store: Where.
        process: This process's id.
        seconds: How long a claim counts that is not renewed.
        on_lost: Called with the threads that other processes have claimed, or that are lost otherwise.
        send: Hints at topics.
        failed: Called when the store does not renew the claims.
        worked: Called when it does so again.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        store: SharedStore,
        *,
        process: str,
        seconds: float,
        on_lost: Callable[[Collection[Key]], None],
        send: Callable[[Collection[str]], None],
        failed: Callable[[StoreUnavailable], None],
        worked: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = process
        self.seconds = seconds
        self.identity = ""  #: of the engine, as of the last look
        self._store = store
        self._on_lost = on_lost
        self._send = send
        self._failed = failed
        self._worked = worked
        self._clock = clock
        self._held: dict[Key, _Lease] = {}
        self._in_doubt = True  #: whether the engine may be another since the last look
        self._looking = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def token_of(self, key: Key) -> int | None:
        """Return the token of a thread that is held; None if it is not."""
        lease = self._held.get(key)
        return None if lease is None else lease.token

    async def claim(self, key: Key) -> Claimed:
        """Claim a thread, which need not exist; one that is held already gets another token.

        Raises:
            HeldElsewhere: Another process has it.
            StoreUnavailable: The store does not say.
        """
        await self._look()
        asked = self._clock()
        found = await self._store.claim(key, self.process, self.seconds)
        if isinstance(found, Held):
            raise HeldElsewhere(key, found.process)
        await self._look()  # it may have failed over meanwhile
        self._held[key] = _Lease(found.token, asked, asked + self._confirmed)
        return found

    async def write(self, changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
        """Write changes, and return the threads whose changes the store refuses for good, and why.

        Threads that another process has claimed are dropped.

        Raises:
            StoreUnavailable: Some may have been written; the same changes are to be written again.
        """
        keys = {change.key for change in changes if _is_fenced(change)}
        await self.confirm(keys)
        tokens = {key: self._held[key].token for key in keys if key in self._held}
        written = [change for change in changes if change.key in tokens or not _is_fenced(change)]
        failed = await self._store.write(written, tokens)
        self._lose(
            [
                key
                for key, error in failed.items()
                if isinstance(error, Fenced) and key in tokens and self.token_of(key) == tokens[key]
            ]
        )
        self._send([topic_of(key) for key in tokens if key not in failed])
        return {key: error for key, error in failed.items() if not isinstance(error, Fenced)}

    async def renew(self) -> None:
        """Renew all claims.

        Raises:
            StoreUnavailable: Some may not have been renewed.
        """
        await self._look()
        await self._renew(self._held)

    async def release(self, keys: Iterable[Key]) -> None:
        """Give up claims, so that other processes can claim the threads at once. It raises nothing."""
        tokens = {key: self._held.pop(key).token for key in keys if key in self._held}
        if not tokens:
            return
        with contextlib.suppress(StoreUnavailable):  # then they end with their time
            await self._store.release(tokens)
        self._send([topic_of(key) for key in tokens])

    def doubt(self) -> None:
        """Ask which engine it is before the next claim or write: a call has failed, and it may have failed over."""
        self._in_doubt = True

    def drop(self, key: Key) -> None:
        """Forget a claim, without a word to the store."""
        self._held.pop(key, None)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._held))

    def since(self, key: Key) -> float:
        """Return when a thread that is held was claimed."""
        return self._held[key].since

    async def run(self) -> None:
        """Renew all claims from time to time, until cancelled, whatever happens meanwhile."""
        away = False
        seconds = self.seconds / RENEWALS
        while True:
            await asyncio.sleep(seconds * SOON if away else seconds)
            try:
                async with asyncio.timeout(seconds):
                    await self.renew()
            except (StoreUnavailable, TimeoutError) as error:
                away = True
                self.doubt()
                silent = StoreUnavailable(f"the store did not answer for {seconds:g} seconds")
                self._failed(error if isinstance(error, StoreUnavailable) else silent)
            except Exception:  # runs go on under the leases: one error is not to end all renewals
                _log.exception("the leases could not be renewed")
            else:
                if away:
                    away = False
                    self._worked()

    @property
    def _confirmed(self) -> float:
        """Seconds for which a lease counts here."""
        return self.seconds * (1 - MARGIN)

    async def _look(self) -> None:
        """Ask which engine it is, if there was an error since; if it is another one, all claims are lost.

        Raises:
            StoreUnavailable: It does not say.
        """
        if not self._in_doubt and not self._looking.locked():
            return
        async with self._looking:
            if not self._in_doubt:
                return
            self._in_doubt = False
            try:
                found = await self._store.identity()
            except BaseException:
                self._in_doubt = True
                raise
            self._found(found)

    def _found(self, identity: str) -> None:
        before, self.identity = self.identity, identity
        if before and before != identity:
            _log.warning("the store has failed over, or was restored: all threads are loaded again")
            self._lose(list(self._held))

    async def confirm(self, keys: Iterable[Key]) -> None:
        """Have the store confirm the claims of threads whose time is over.

        Raises:
            StoreUnavailable: It does not say.
        """
        await self._look()
        now = self._clock()
        due = {key: lease for key in keys if (lease := self._held.get(key)) is not None and lease.until <= now}
        if due:
            await self._renew(due)
            await self._look()

    async def _renew(self, leases: Mapping[Key, _Lease]) -> None:
        asked = self._clock()
        known = dict(leases)
        if not known:
            return
        lost = await self._store.renew({key: lease.token for key, lease in known.items()}, self.seconds)
        gone = set(lost)
        for key, lease in known.items():
            if key not in gone:
                lease.until = max(lease.until, asked + self._confirmed)
        self._lose([key for key in gone if key in known and self._held.get(key) is known[key]])

    def _lose(self, keys: Collection[Key]) -> None:
        for key in keys:
            del self._held[key]
        if keys:
            self._on_lost(keys)


def _is_fenced(change: SharedChange) -> bool:
    """Return whether only the process that holds the thread may write a change."""
    if isinstance(change, RecordWritten | RecordErased):
        return change.kind == MEMORY
    return not isinstance(change, SummaryChanged)
