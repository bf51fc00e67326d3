"""The memory store: threads are gone with the process."""

from __future__ import annotations

import heapq
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import ClassVar

import msgspec

from .base import Change, Deleted, Moved
from .clock import Clock
from .errors import Damaged
from .fitting import check_fit
from .key import Key
from .log import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Compacted,
    Created,
    Kind,
    Renewed,
    SavedThread,
)
from .records import File, RecordErased, RecordWritten, Summary, SummaryChanged, summary_after

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
    """Stores threads in a dict.

    Args:
        clock: A monotonic clock, in seconds, by which threads are idle.
    """

    instant: ClassVar[bool] = True
    shared: ClassVar[bool] = False

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows: dict[Key, _Row] = {}
        self._summaries: dict[str | None, dict[str, Summary]] = {}  #: by owner and thread id
        self._records: dict[Key, dict[str, dict[str, bytes]]] = {}  #: by thread, kind and id
        self._files: dict[str, tuple[File, bytes]] = {}
        self._secrets: dict[str, bytes] = {}
        self._used: dict[Key, float] = {}  #: when each summary was written
        self._clock = Clock(clock=clock)

    async def open(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing: a store that is opened again still has its threads."""

    async def probe(self) -> None:
        """Do nothing: there is always room, or no process."""

    async def durability(self) -> None:
        """Return None: nothing survives the process."""

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Apply changes, all or none."""
        check_fit(changes, self._rows.__contains__, self._has_summary)
        for change in changes:
            self._apply(change)

    async def commit(self, changes: Sequence[Change]) -> None:
        """As `commit_nowait`."""
        self.commit_nowait(changes)

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Leave all changes to `commit`, which is what a store made of this one is to override."""
        return False

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
            memory=await self.records(key, MEMORY),
        )

    async def unfinished(self) -> list[Key]:
        """Return the threads with a batch or a run left."""
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
        """Return the summary of a thread."""
        return self._summaries.get(key.owner, {}).get(key.thread_id)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        found = [
            summary
            for summary in self._summaries.get(owner, {}).values()
            if (archived is None or summary.archived == archived) and (before is None or _place(summary) < before)
        ]
        return heapq.nlargest(limit, found, key=_place)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        found = [summary for summary in self._summaries.get(owner, {}).values() if summary.external_id == external_id]
        return min(found, key=lambda summary: (summary.created, summary.key.thread_id), default=None)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        return any(thread_id in summaries for owner, summaries in self._summaries.items() if owner is not None)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        return list(self._records.get(key, {}).get(kind, {}).items())

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        return self._secrets.setdefault(name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file."""
        data = b"".join([piece async for piece in pieces])
        self._files[name] = File(name, type, owner, len(data)), data
        return len(data)

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        found = self._files.get(name)
        return None if found is None else found[0]

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        if name not in self._files:
            raise Damaged(f'there is no file "{name}" any more')
        return self._files[name][1][start:end]

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        self._files.pop(name, None)

    def _has_summary(self, key: Key) -> bool:
        return key.thread_id in self._summaries.get(key.owner, {})

    def _apply(self, change: Change) -> None:
        match change:
            case Created():
                self._rows[change.key] = _Row(change, self._clock.now())
            case Deleted():
                self._rows.pop(change.key, None)
                self._records.pop(change.key, None)
                self._summaries.get(change.key.owner, {}).pop(change.key.thread_id, None)
                self._used.pop(change.key, None)
            case SummaryChanged():
                summaries = self._summaries.setdefault(change.key.owner, {})
                thread_id = change.key.thread_id
                self._used[change.key] = self._clock.now()
                summaries[thread_id] = summary_after(summaries.get(thread_id), change)
            case RecordWritten(key, kind, id, data):
                self._records.setdefault(key, {}).setdefault(kind, {})[id] = data
            case RecordErased(key, kind, id):
                self._records.get(key, {}).get(kind, {}).pop(id, None)
            case Moved(key, owner):
                self._move(key, Key(owner, key.thread_id))
            case _:
                self._write(self._rows[change.key], change)

    def _move(self, key: Key, to: Key) -> None:
        if key in self._rows:
            self._rows[to] = self._rows.pop(key)
        if key in self._records:
            self._records[to] = self._records.pop(key)
        summary = self._summaries.get(key.owner, {}).pop(key.thread_id, None)
        if summary is not None:
            self._used[to] = self._used.pop(key)
            self._summaries.setdefault(to.owner, {})[to.thread_id] = msgspec.structs.replace(summary, key=to)

    def _write(
        self,
        row: _Row,
        change: Appended | BatchAccepted | BatchChanged | BatchApplied | BatchSettled | Compacted | Assigned | Renewed,
    ) -> None:
        row.written = self._clock.now()
        if isinstance(change, Appended):
            row.entries.append((change.revision, change.kind, change.data))
            row.open = row.open if change.open is None else change.open
        elif isinstance(change, BatchAccepted):
            row.inbox[change.run_id] = change.data
        elif isinstance(change, BatchChanged):
            if change.run_id in row.inbox:
                row.inbox[change.run_id] = change.data
        elif isinstance(change, BatchSettled):
            row.inbox.pop(change.run_id, None)
        elif isinstance(change, BatchApplied):
            row.applied[change.command_id] = (change.digest, change.run_id)
        elif isinstance(change, Assigned):
            row.agent = change.agent
        elif isinstance(change, Renewed):
            row.epoch = change.epoch
        else:
            row.revision, row.state, row.run = change.revision, change.state, change.run
            row.entries = [entry for entry in row.entries if entry[0] > change.revision]


def _place(summary: Summary) -> tuple[float, str]:
    return summary.last, summary.key.thread_id
