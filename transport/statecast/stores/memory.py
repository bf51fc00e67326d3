"""The memory store: what is kept is gone with the process."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from .base import (
    Amended,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchSettled,
    Change,
    Compacted,
    Created,
    Deleted,
    File,
    Key,
    Kind,
    Moved,
    RecordErased,
    RecordWritten,
    SavedThread,
    Summary,
    SummaryChanged,
    described,
)
from .clock import Clock
from .errors import ChangeRefused, Damaged

__all__ = ["MemoryStore"]


class _Row:
    """One thread."""

    def __init__(self, created: Created, now: float) -> None:
        self.agent = created.agent
        self.epoch = created.epoch
        self.lasting = created.lasting
        self.revision = 0
        self.state = created.state
        self.run = b"null"
        self.entries: list[tuple[int, Kind, bytes]] = []
        self.inbox: dict[str, bytes] = {}
        self.applied: dict[str, tuple[bytes, str]] = {}
        self.open = False
        self.written = now


class MemoryStore:
    """Keeps threads in a dict."""

    instant: ClassVar[bool] = True

    def __init__(self) -> None:
        self._rows: dict[Key, _Row] = {}
        self._cards: dict[str | None, dict[str, Summary]] = {}  #: of an owner, by thread id
        self._notes: dict[Key, dict[str, dict[str, bytes]]] = {}  #: of a thread, by kind and id
        self._files: dict[str, tuple[File, bytes]] = {}
        self._secrets: dict[str, bytes] = {}
        self._used: dict[Key, float] = {}  #: when each card was written
        self._clock = Clock()

    async def open(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing: a store that is opened again still has what it had."""

    async def probe(self) -> None:
        """Do nothing: there is always room, or no process."""

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Apply changes, all or none."""
        self._check(changes)
        for change in changes:
            self._apply(change)

    async def commit(self, changes: Sequence[Change]) -> None:
        """As `commit_nowait`."""
        self.commit_nowait(changes)

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread as it was last written."""
        row = self._rows.get(key)
        if row is None:
            return None
        return SavedThread(
            key=key,
            agent=row.agent,
            epoch=row.epoch,
            lasting=row.lasting,
            revision=row.revision,
            state=row.state,
            run=row.run,
            entries=list(row.entries),
            inbox=list(row.inbox.items()),
            applied=dict(row.applied),
        )

    async def unsettled(self) -> list[Key]:
        """Return the threads with work left."""
        return [key for key, row in self._rows.items() if row.inbox or row.open]

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return threads not written to for so many seconds."""
        before = self._clock.now() - seconds
        idle = [key for key, row in self._rows.items() if row.written < before and row.lasting == lasting]
        if lasting:
            alone = [key for key in self._used if key not in self._rows]
            idle = [key for key in (*idle, *alone) if self._used.get(key, before - 1) < before]
        return idle

    async def summary(self, key: Key) -> Summary | None:
        """Return what lists show of a thread."""
        return self._cards.get(key.owner, {}).get(key.thread_id)

    async def listed(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return an owner's cards, the latest first."""
        cards = [
            summary
            for summary in self._cards.get(owner, {}).values()
            if (archived is None or summary.archived == archived) and (before is None or _place(summary) < before)
        ]
        return heapq.nlargest(limit, cards, key=_place)

    async def named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest card of an owner's with this external id."""
        cards = [summary for summary in self._cards.get(owner, {}).values() if summary.external_id == external_id]
        return min(cards, key=lambda summary: (summary.created, summary.key.thread_id), default=None)

    async def is_owned(self, thread_id: str) -> bool:
        """Whether there is a card of this id that is somebody's."""
        return any(thread_id in cards for owner, cards in self._cards.items() if owner is not None)

    async def notes(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return what is noted of a kind."""
        return list(self._notes.get(key, {}).get(kind, {}).items())

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret, the first that was offered."""
        return self._secrets.setdefault(name, fresh)

    async def keep_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Keep a file."""
        data = b"".join([piece async for piece in pieces])
        self._files[name] = File(name, type, owner, len(data)), data
        return len(data)

    async def file(self, name: str) -> File | None:
        """Return what is known of a file."""
        found = self._files.get(name)
        return None if found is None else found[0]

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        if name not in self._files:
            raise Damaged(f'there is no file "{name}" any more')
        return self._files[name][1][start:end]

    async def drop_file(self, name: str) -> None:
        """Keep a file no longer."""
        self._files.pop(name, None)

    def _check(self, changes: Sequence[Change]) -> None:
        """Refuse changes that do not fit, as a database would."""
        threads: dict[Key, bool] = {}
        cards: dict[Key, bool] = {}

        def has(key: Key) -> bool:
            return threads.get(key, key in self._rows)

        def shows(key: Key) -> bool:
            return cards.get(key, key.thread_id in self._cards.get(key.owner, {}))

        for change in changes:
            key = change.key
            match change:
                case Created():
                    if has(key):
                        raise ChangeRefused(f"the store has a thread {key.thread_id!r} already")
                    threads[key] = True
                case Deleted():
                    threads[key] = cards[key] = False
                case SummaryChanged():
                    cards[key] = True
                case RecordWritten() | RecordErased():
                    pass
                case Moved():
                    to = Key(change.owner, key.thread_id)
                    if has(to) or shows(to):
                        raise ChangeRefused(f"the store has a thread {key.thread_id!r} of that owner already")
                    threads[to], cards[to] = has(key), shows(key)
                    threads[key] = cards[key] = False
                case _:
                    if not has(key):
                        raise ChangeRefused(f"the store has no thread {key.thread_id!r} to write to")

    def _apply(self, change: Change) -> None:
        match change:
            case Created():
                self._rows[change.key] = _Row(change, self._clock.now())
            case Deleted():
                self._rows.pop(change.key, None)
                self._notes.pop(change.key, None)
                self._cards.get(change.key.owner, {}).pop(change.key.thread_id, None)
                self._used.pop(change.key, None)
            case SummaryChanged():
                cards = self._cards.setdefault(change.key.owner, {})
                thread_id = change.key.thread_id
                self._used[change.key] = self._clock.now()
                cards[thread_id] = described(cards.get(thread_id), change)
            case RecordWritten(key, kind, id, data):
                self._notes.setdefault(key, {}).setdefault(kind, {})[id] = data
            case RecordErased(key, kind, id):
                self._notes.get(key, {}).get(kind, {}).pop(id, None)
            case Moved(key, owner):
                self._move(key, Key(owner, key.thread_id))
            case _:
                self._write(self._rows[change.key], change)

    def _move(self, key: Key, to: Key) -> None:
        if key in self._rows:
            self._rows[to] = self._rows.pop(key)
        if key in self._notes:
            self._notes[to] = self._notes.pop(key)
        summary = self._cards.get(key.owner, {}).pop(key.thread_id, None)
        if summary is not None:
            self._used[to] = self._used.pop(key)
            self._cards.setdefault(to.owner, {})[to.thread_id] = msgspec.structs.replace(summary, key=to)

    def _write(
        self, row: _Row, change: Appended | BatchAccepted | Amended | BatchApplied | BatchSettled | Compacted | Assigned
    ) -> None:
        row.written = self._clock.now()
        if isinstance(change, Appended):
            row.entries.append((change.revision, change.kind, change.data))
            row.open = row.open if change.open is None else change.open
        elif isinstance(change, BatchAccepted):
            row.inbox[change.run_id] = change.data
        elif isinstance(change, Amended):
            if change.run_id in row.inbox:
                row.inbox[change.run_id] = change.data
        elif isinstance(change, BatchSettled):
            row.inbox.pop(change.run_id, None)
        elif isinstance(change, BatchApplied):
            row.applied[change.command_id] = (change.digest, change.run_id)
        elif isinstance(change, Assigned):
            row.agent = change.agent
        else:
            row.revision, row.state, row.run = change.revision, change.state, change.run
            row.entries = [entry for entry in row.entries if entry[0] > change.revision]


def _place(summary: Summary) -> tuple[float, str]:
    return summary.last, summary.key.thread_id
