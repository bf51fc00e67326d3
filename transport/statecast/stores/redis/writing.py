"""`Writer`: writes changes under tokens, once each, although replies may be lost.

Rule: whoever loses a reply looks what was written, before it writes again. A thread's batches that a script writes are
numbered under each token, and a script writes only the next one, so that a command which arrives late does nothing.
Entries alone have their revisions, and the stream refuses those that are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from redis.exceptions import ResponseError

from statecast.stores.base import Moved
from statecast.stores.by_thread import by_thread
from statecast.stores.errors import ChangeRefused, Fenced, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import Appended
from statecast.stores.shared import SharedChange

from .commits import as_entries, as_script, is_plain
from .engine import Confirm, Engine
from .keys import Keys
from .node import Reply
from .scripts import LOOK, Command

__all__ = ["Writer"]

#: How often to write again what something else came before: a command of ours that had been lost.
TRIES: Final = 3

#: Seconds of the store's time in which entries of a thread need not say again that it is in use.
TOUCH: Final = 10.0

#: Threads of which it is known when they were last said to be in use.
MOST: Final = 10_000

_log: Final = logging.getLogger("statecast")


class _Sent(msgspec.Struct):
    """Changes that were sent, and of which nobody knows whether they were written."""

    changes: Sequence[SharedChange]
    number: int | None  #: batches that a script had written before; None: these are entries alone


class _Claim(msgspec.Struct):
    """What is known of a thread under a token."""

    token: int
    number: int | None  #: batches that a script has written; None: unknown
    sent: _Sent | None = None  #: what was sent last
    late: _Sent | None = None  #: what was sent and not written, and may be still on its way
    done: Sequence[SharedChange] = ()  #: what is written, although the caller was told that it may not be
    told: Sequence[SharedChange] = ()  #: what was written last, as the caller knows


class _Group(msgspec.Struct, eq=False):
    """The changes of a thread, or of several that a move connects."""

    whole: Sequence[SharedChange]
    changes: Sequence[SharedChange]  #: those that are still to be written
    claims: dict[Key, _Claim]
    error: Exception | None = None

    @property
    def key(self) -> Key:
        """The first thread: what was written of it was written of all."""
        return self.whole[0].key

    @property
    def claim(self) -> _Claim | None:
        return self.claims.get(self.key)

    @property
    def is_plain(self) -> bool:
        return len(self.claims) == 1 and bool(self.changes) and is_plain(self.changes)

    @property
    def is_unsure(self) -> bool:
        """Whether it is unknown what was written of the threads."""
        claim = self.claim
        return (claim is not None and claim.sent is not None) or any(
            claim.number is None for claim in self.claims.values()
        )


class Writer:
    """Writes changes.

    Args:
        engine: Where to.
        keys: Names the keys.
        now: Returns the store's time.
    """

    def __init__(self, engine: Engine, keys: Keys, now: Callable[[], float]) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now
        self._claims: dict[Key, _Claim] = {}
        self._touched: dict[Key, float] = {}
        self.confirm: Confirm | None = None  #: what confirms that something is as durable as is asked for

    def claimed(self, key: Key, token: int) -> None:
        """Take note of a claim."""
        self._claims[key] = _Claim(token, 0)

    def released(self, keys: Mapping[Key, int]) -> None:
        """Forget claims that are given up or lost."""
        for key, token in keys.items():
            claim = self._claims.get(key)
            if claim is not None and claim.token == token:
                del self._claims[key]

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> dict[Key, Exception]:
        """Write changes, all or none of each thread; see `SharedStore.write`.

        Raises:
            StoreUnavailable: Some may have been written. The same, or more behind it, may be written again.
        """
        groups = [self._group(group, tokens) for group in by_thread(changes)]
        away: StoreUnavailable | None = None
        left = groups
        for _ in range(TRIES):
            await self._look([group for group in left if group.is_unsure])
            for group in left:
                _leave_out_done(group)
            left = [group for group in left if group.error is None]
            if not left:
                break
            replies = await self._send(left)
            again = []
            for group, reply in zip(left, replies, strict=True):
                if _take(group, reply):
                    again.append(group)
                elif isinstance(group.error, StoreUnavailable):
                    away = group.error
            left = again
        if left:
            away = away or StoreUnavailable("what was written of a thread is still changing")
        for group in groups:
            self._conclude(group, told=away is None)
        if away is not None:
            raise away
        failed = [(group, group.error) for group in groups if group.error is not None]
        return {change.key: error for group, error in failed for change in group.whole}

    async def write_whatever(self, changes: Sequence[SharedChange]) -> None:
        """Write changes, whoever holds their threads; none if one of them does not fit.

        Raises:
            ChangeRefused: One does not.
            StoreUnavailable: Some may have been written.
        """
        groups = by_thread(changes)
        for only_check in (True, False) if len(groups) > 1 else (False,):
            commands = [self._script(group, {}, only_check=only_check) for group in groups]
            for reply in await self._engine.run(commands, self.confirm):
                error = _error_of(reply)
                if error is not None:
                    raise error

    def _group(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> _Group:
        claims: dict[Key, _Claim] = {}
        for change in changes:
            for key in (
                (change.key, Key(change.owner, change.key.thread_id)) if isinstance(change, Moved) else (change.key,)
            ):
                token = tokens.get(key)
                if token is not None and key not in claims:
                    claim = self._claims.get(key)
                    if claim is None or claim.token != token:
                        claim = self._claims[key] = _Claim(token, None)
                    claims[key] = claim
        return _Group(changes, changes, claims)

    async def _look(self, groups: Sequence[_Group]) -> None:
        """Find out what was written of threads."""
        if not groups:
            return
        unsure = [(group, key, claim) for group in groups for key, claim in group.claims.items()]
        places = [self._keys.of(key) for _, key, _ in unsure]
        commands = [(self._keys.slots[place.partition], LOOK((place.meta, place.log))) for place in places]
        for (group, _, claim), found in zip(unsure, await self._engine.ask(commands), strict=True):
            token, number, log_token, revision = map(int, found)
            if token != claim.token:
                group.error = Fenced("another process has claimed the thread")
                continue
            claim.number = number
            sent, claim.sent = claim.sent, None
            if sent is not None:
                if sent.number is not None:
                    written = number == sent.number + 1
                else:
                    entry = sent.changes[-1]
                    written = isinstance(entry, Appended) and log_token == token and revision >= entry.revision
                claim.late = None if written else sent
                claim.done = [*claim.done, *sent.changes] if written else claim.done

    async def _send(self, groups: Sequence[_Group]) -> list[Reply]:
        commands = [self._command(group) for group in groups]
        touches = [touch for group in groups if group.is_plain for touch in self._touch(group.key)]
        replies = await self._engine.run([*commands, *touches], self.confirm)
        return replies[: len(commands)]

    def _touch(self, key: Key) -> Sequence[tuple[int, Command]]:
        """Return what says that a thread is in use, where only entries are written; nothing if it was said just now."""
        now = self._now()
        if now - self._touched.get(key, -TOUCH) < TOUCH:
            return ()
        if len(self._touched) >= MOST:
            self._touched.clear()
        self._touched[key] = now
        place = self._keys.of(key)
        partition = self._keys.partitions[place.partition]
        slot = self._keys.slots[place.partition]
        return [
            (slot, ("ZADD", idle, "XX", "GT", repr(now), place.name)) for idle in (partition.idle, partition.idle_other)
        ]

    def _command(self, group: _Group) -> tuple[int, Command]:
        """Return what writes a group, and remember that it was sent."""
        place = self._keys.of(group.key)
        slot = self._keys.slots[place.partition]
        claim = group.claim
        if not group.changes:  # all was written before, and may still have to be confirmed
            return slot, ("SET", self._keys.in_partition(place.partition, b"probe"), 1)
        if claim is not None and group.is_plain:
            entries = [change for change in group.changes if isinstance(change, Appended)]
            claim.sent = _Sent(group.changes, None)
            return slot, as_entries(place.log, claim.token, entries)
        if claim is not None:
            claim.sent = _Sent(group.changes, claim.number)
        return self._script(group.changes, group.claims)

    def _script(
        self, changes: Sequence[SharedChange], claims: Mapping[Key, _Claim], *, only_check: bool = False
    ) -> tuple[int, Command]:
        numbered = {key: (claim.token, claim.number or 0) for key, claim in claims.items()}
        command = as_script(self._keys, changes, numbered, time=self._now(), only_check=only_check)
        return self._keys.slots[self._keys.partition_of(changes[0].key.thread_id)], command

    def _conclude(self, group: _Group, *, told: bool) -> None:
        """Remember what was written of a group, for the case that it is to be written again."""
        claim = group.claim
        if isinstance(group.error, Fenced):
            self.released({key: claim.token for key, claim in group.claims.items()})
        elif claim is not None and told:
            claim.done = ()
            if group.error is None:
                claim.told = group.whole


def _leave_out_done(group: _Group) -> None:
    """Leave out of a group what is written already."""
    claim = group.claim
    if claim is None or group.error is not None:
        return
    if claim.told and claim.told == group.whole:
        claim.done, group.changes = group.whole, ()
    elif list(group.whole[: len(claim.done)]) == list(claim.done):
        group.changes = group.whole[len(claim.done) :]
    else:
        _log.warning("what was written of the thread %r is not what was to be; it is loaded anew", group.key.thread_id)
        group.error = Fenced("the thread has what its process does not know of")


def _take(group: _Group, reply: Reply) -> bool:
    """Take note of a reply; return whether to look what was written, and to write the rest."""
    claim = group.claim
    if isinstance(reply, StoreUnavailable):
        for other in group.claims.values():
            if other is not claim:
                other.number = None
        group.error = reply
        return False
    sent = None
    if claim is not None:
        sent, claim.sent = claim.sent, None
        if _comes_late(reply):
            if claim.late is None:
                group.error = Fenced("the thread has what its process does not know of")
                return False
            claim.sent, claim.late = claim.late, None
            return True
    group.error = _error_of(reply)
    if group.error is None and claim is not None and sent is not None:
        claim.done = [*claim.done, *sent.changes]
        claim.late = None
        if sent.number is not None:
            for other in group.claims.values():
                other.number = (other.number or 0) + 1
    return False


def _comes_late(reply: Reply) -> bool:
    """Return whether a reply says that something else was written under the token, or after it."""
    return (isinstance(reply, list) and reply[0] == b"again") or (
        isinstance(reply, ResponseError) and "equal or smaller" in str(reply)
    )


def _error_of(reply: Reply) -> Exception | None:
    """Return what a reply to a write says that went wrong."""
    match reply:
        case StoreUnavailable():
            return reply
        case ResponseError():
            return StoreUnavailable(f"Redis refused a command: {reply}")
        case [b"refused", reason]:
            return ChangeRefused(reason.decode())
        case [b"fenced"]:
            return Fenced("another process has claimed the thread")
        case [b"again"]:
            return ChangeRefused("the store has entries of the thread that come after this one")
        case None:
            return Fenced("the thread was deleted")
    return None
