"""`Writer`: writes changes under tokens, once each, although replies may be lost.

Rule: whoever loses a reply looks what was written, before it writes again. A thread's batches that a script writes are
numbered under each token, and a script writes only the next one, so that a command which arrives late does nothing.
Entries alone have their revisions, and the stream refuses those that are there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from redis.exceptions import ResponseError

from statecast.stores.base import Moved
from statecast.stores.by_thread import by_thread
from statecast.stores.errors import ChangeRefused, Fenced, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import Appended, Created
from statecast.stores.shared import SharedChange
from statecast.stores.wake import topic_of

from .commits import as_entries, as_script, is_plain
from .engine import Confirm, Engine
from .keys import Keys
from .node import NotSent, Reply
from .scripts import LOOK, Command
from .wake import RedisWake

__all__ = ["Writer"]

#: How often to write again what something else came before: a command of ours that had been lost.
TRIES: Final = 3

#: Seconds of the store's time in which entries of a thread need not say again that it is in use.
TOUCH: Final = 10.0

#: Threads of which it is known when they were last said to be in use.
MOST: Final = 10_000

_log: Final = logging.getLogger("statecast")


class _Claim(msgspec.Struct, eq=False):
    """What is known of a thread under a token."""

    token: int
    number: int | None  #: of the last batch that a script wrote; None: unknown
    given: int = 0  #: the last number that a batch was given
    unsure: bool = False  #: whether it is unknown if what was sent last was written
    sent: list[_Sent] = []  #: what was sent since the last write that succeeded, and may be on its way still
    over: bool = False  #: whether nothing is written under it any more, although it is the latest
    late: bool = False  #: whether entries may still be on their way that were sent under this token
    done: Sequence[SharedChange] = ()  #: what is written, although the caller was told that it may not be
    told: Sequence[SharedChange] = ()  #: what was written last, as the caller knows


class _Sent(msgspec.Struct, eq=False):
    """A batch that was sent."""

    changes: Sequence[SharedChange]  #: with what was done before
    claims: Sequence[_Claim]  #: of its threads, the first one's first
    number: int | None  #: under which a script writes it; None: it is entries alone
    revision: int = 0  #: of the last of these entries

    def is_there(self, number: int, revision: int) -> bool:
        """Return whether it was written last, by what its first thread has."""
        return self.revision == revision if self.number is None else self.number == number

    def succeed(self) -> None:
        """Take note that it was written."""
        for claim in self.claims:
            claim.done = ()
        self.claims[0].done = self.changes


class _Group(msgspec.Struct, eq=False):
    """What is to be written of a thread, or of several that a move connects."""

    changes: Sequence[SharedChange]
    claims: dict[Key, _Claim]
    scripted: bool = False  #: whether a script has to write it, even entries alone
    error: Exception | None = None
    hinted: bool = False  #: whether a hint was sent with it
    _plain: bool | None = None

    @property
    def key(self) -> Key:
        """The first thread: what was written of it was written of all."""
        return self.changes[0].key

    @property
    def claim(self) -> _Claim | None:
        """The claim of the first thread."""
        return self.claims.get(self.key)

    @property
    def is_plain(self) -> bool:
        """Whether it is entries alone."""
        if self._plain is None:
            self._plain = not self.scripted and len(self.claims) == 1 and is_plain(self.changes)
        return self._plain

    def left(self) -> list[_Group]:
        """Return what of it is not written yet; nothing if all is, or if it is not what was to be written before."""
        first = self.claim
        if first is not None and first.told and first.told == self.changes:
            return []
        if not any(claim.sent or claim.done or claim.late for claim in self.claims.values()):
            return [self]
        # What was sent, taken back since, and is not there yet may still arrive, unless something takes its place: the
        # next number, or as many entries.
        taken_back = [
            sent
            for claim in self.claims.values()
            for sent in claim.sent
            if _without(self.changes, sent.changes) is None
        ]
        last = max((change.revision for change in self.changes if isinstance(change, Appended)), default=0)
        left: list[SharedChange] | None = list(self.changes)
        if any(sent.revision > last for sent in taken_back):
            left = None
        for claim in self.claims.values():
            if left is not None and claim.done:
                left = _without(left, claim.done)
        if left is not None and self._begins_again(left):
            self.end("entries of the thread before it may still come, and need an older token")
            return []
        if left is None:
            _log.warning("other changes of the thread %r were sent before; it is loaded anew", self.key.thread_id)
            self.end("the thread may have what its process does not know of")
            return []
        return [
            _Group(
                changes, {key: self.claims[key] for key in _keys_of(changes) if key in self.claims}, bool(taken_back)
            )
            for changes in by_thread(left)
        ]

    def end(self, reason: str) -> None:
        """Write nothing more under these claims: their process has to load the threads anew."""
        self.error = Fenced(reason)
        for claim in self.claims.values():
            claim.over, claim.sent, claim.done, claim.told = True, [], (), ()

    def _begins_again(self, left: Sequence[SharedChange]) -> bool:
        """Return whether a log begins to which entries of another one, that was deleted, may still come."""
        begun = [
            Key(change.owner, change.key.thread_id) if isinstance(change, Moved) else change.key
            for change in left
            if isinstance(change, Created | Moved)
        ]
        return any(claim.late for key in begun if (claim := self.claims.get(key)) is not None)


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
        self.wake: RedisWake | None = None  #: hints at entries are sent with them

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
        unfinished = groups
        for _ in range(TRIES):
            await self._look(unfinished)
            parts, written = [], []
            for group in unfinished:
                left = group.left() if group.error is None else []
                parts += [(group, part) for part in left]
                if not left and group.error is None:
                    written.append(group)
            await self._confirm(written)
            replies = await self._send([part for _, part in parts])
            unfinished = []
            for (group, part), reply in zip(parts, replies, strict=True):
                if _take(part, reply):
                    unfinished.append(group)
                group.error = group.error or part.error
            if not unfinished:
                break
        else:
            raise StoreUnavailable("what was written of a thread is still changing")
        away = [group.error for group in groups if isinstance(group.error, StoreUnavailable)]
        for group in groups:
            self._conclude(group, told=not away)
        if away:
            raise away[0]
        failed = [(group, group.error) for group in groups if group.error is not None]
        return {change.key: error for group, error in failed for change in group.changes}

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
        for key in _keys_of(changes):
            token = tokens.get(key)
            if token is not None:
                claim = self._claims.get(key)
                if claim is None or claim.token != token:
                    claim = self._claims[key] = _Claim(token, None)
                claims[key] = claim
        over = any(claim.over for claim in claims.values())
        return _Group(changes, claims, error=Fenced("the claim of the thread is over") if over else None)

    async def _look(self, groups: Sequence[_Group]) -> None:
        """Find out what was written of threads, of those of which nobody knows it."""
        unsure = [
            (group, key, claim)
            for group in groups
            if group.error is None
            for key, claim in group.claims.items()
            if claim.number is None or claim.unsure
        ]
        if not unsure:
            return
        places = [self._keys.of(key) for _, key, _ in unsure]
        commands = [(self._keys.slots[place.partition], LOOK((place.meta, place.log))) for place in places]
        for (group, _, claim), found in zip(unsure, await self._engine.ask(commands), strict=True):
            token, number, log_token, revision = map(int, found)
            if token != claim.token:
                group.error = Fenced("another process has claimed the thread")
                continue
            claim.number, claim.unsure = number, False
            claim.given = max(claim.given, number)
            reached = revision if log_token == token else 0
            arrived = [sent for sent in claim.sent if sent.is_there(number, reached)]
            if arrived:
                max(arrived, key=lambda sent: len(sent.changes)).succeed()
                # No script writes the others any more. Entries may still come that are more than those that are there.
                claim.sent = [sent for sent in claim.sent if sent.number is None and sent.revision > reached]

    async def _send(self, groups: Sequence[_Group]) -> list[Reply]:
        commands = [self._command(group) for group in groups]
        plain = [group for group in groups if group.is_plain]
        touches = [touch for group in plain for touch in self._touch(group.key)]
        hints = self._hints(plain)
        replies = await self._engine.run([*commands, *touches, *hints], self.confirm)
        return replies[: len(commands)]

    def _hints(self, groups: Sequence[_Group]) -> Sequence[tuple[int, Command]]:
        """Return hints at entries, to be sent behind them: one round trip less than hints of their own.

        Nobody is to be hinted at what may not be there yet: not where the disk or a replica is waited for, and not
        where the channel is another server's than the log.
        """
        if self.wake is None or self.confirm is not None or self._engine.is_cluster:
            return ()
        for group in groups:
            group.hinted = True
        return [self.wake.hint(topic_of(group.key)) for group in groups]

    async def _confirm(self, groups: Sequence[_Group]) -> None:
        """Have confirmed what was written before, if it has to be: a later write is confirmed with all before it."""
        if self.confirm is None or not groups:
            return
        places = [self._keys.of(group.key) for group in groups]
        commands: list[tuple[int, Command]] = [
            (self._keys.slots[place.partition], ("SET", self._keys.in_partition(place.partition, b"probe"), 1))
            for place in places
        ]
        for group, reply in zip(groups, await self._engine.run(commands, self.confirm), strict=True):
            group.error = _error_of(reply)

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
        lead, claims = group.claim, list(group.claims.values())
        changes = group.changes
        if any(claim.done for claim in claims):
            changes = [*(change for claim in claims for change in claim.done), *changes]
        if lead is not None and group.is_plain:
            entries = [change for change in group.changes if isinstance(change, Appended)]
            lead.sent = [*lead.sent, _Sent(changes, claims, None, entries[-1].revision)]
            lead.unsure = True
            return self._keys.slots[place.partition], as_entries(place.log, lead.token, entries)
        for claim in claims:
            claim.given += 1
        if lead is not None:
            claims = [lead, *(claim for claim in claims if claim is not lead)]
            lead.sent = [*lead.sent, _Sent(changes, claims, lead.given)]
            lead.unsure = True
        return self._script(group.changes, group.claims)

    def _script(
        self, changes: Sequence[SharedChange], claims: Mapping[Key, _Claim], *, only_check: bool = False
    ) -> tuple[int, Command]:
        numbered = {key: (claim.token, claim.number or 0, claim.given) for key, claim in claims.items()}
        command = as_script(self._keys, changes, numbered, time=self._now(), only_check=only_check)
        return self._keys.slots[self._keys.partition_of(changes[0].key.thread_id)], command

    def _conclude(self, group: _Group, *, told: bool) -> None:
        """Remember what was written of a group, for the case that it is to be written again."""
        if told:
            for claim in group.claims.values():
                claim.done = ()
            if group.claim is not None and group.error is None:
                group.claim.told = group.changes
                if group.hinted and self.wake is not None:
                    self.wake.sent_along(topic_of(group.key))


def _keys_of(changes: Sequence[SharedChange]) -> list[Key]:
    """Return the threads that changes concern."""
    keys: dict[Key, None] = {}
    for change in changes:
        keys[change.key] = None
        if isinstance(change, Moved):
            keys[Key(change.owner, change.key.thread_id)] = None
    return list(keys)


def _without(changes: Sequence[SharedChange], done: Sequence[SharedChange]) -> list[SharedChange] | None:
    """Return changes without those that are done; None if these are not the first of their threads."""
    first: dict[Key, deque[SharedChange]] = {}
    for change in done:
        first.setdefault(change.key, deque()).append(change)
    left = []
    for change in changes:
        expected = first.get(change.key)
        if not expected:
            left.append(change)
        elif expected.popleft() != change:
            return None
    return None if any(first.values()) else left


def _take(group: _Group, reply: Reply) -> bool:
    """Take note of a reply; return whether to look what was written, and to write the rest."""
    lead = group.claim
    if isinstance(reply, StoreUnavailable) and not isinstance(reply, NotSent):
        for claim in group.claims.values():
            if claim is not lead:
                claim.number = None
            claim.late = claim.late or group.is_plain
        group.error = reply
        return False
    if lead is None:
        group.error = _error_of(reply)
        return False
    *before, sent = lead.sent
    lead.sent, lead.unsure = before, False
    if _comes_late(reply):  # something that was sent before has arrived in between
        for claim in group.claims.values():
            claim.unsure = bool(claim.sent)
            claim.number = None if not claim.sent else claim.number
        if any(claim.unsure for claim in group.claims.values()):
            return True
        group.end("the thread has what its process does not know of")
        return False
    group.error = _error_of(reply)
    if group.error is None:
        sent.succeed()
        for claim in group.claims.values():
            claim.sent = []
            if sent.number is not None:
                claim.number = claim.given
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
