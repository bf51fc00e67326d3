"""The memory store: what is kept is gone with the process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from .seam import (
    Accepted,
    Appended,
    Applied,
    Change,
    Compacted,
    Created,
    Deleted,
    Key,
    Kind,
    Saved,
    Settled,
    StoreUnavailable,
)

__all__ = ["MemoryStore"]


class _Row:
    """One thread."""

    def __init__(self, created: Created) -> None:
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
        self.written = time.time()


class MemoryStore:
    """Keeps threads in a dict."""

    instant: ClassVar[bool] = True

    def __init__(self) -> None:
        self._rows: dict[Key, _Row] = {}

    async def open(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing: a store that is opened again still has what it had."""

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Apply changes, all or none."""
        self._check(changes)
        for change in changes:
            self._apply(change)

    async def commit(self, changes: Sequence[Change]) -> None:
        """As `commit_nowait`."""
        self.commit_nowait(changes)

    async def load(self, key: Key) -> Saved | None:
        """Return a thread as it was last written."""
        row = self._rows.get(key)
        if row is None:
            return None
        return Saved(
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

    async def idle_since(self, before: float, *, lasting: bool) -> list[Key]:
        """Return threads not written to since a time."""
        return [key for key, row in self._rows.items() if row.written < before and row.lasting == lasting]

    def _check(self, changes: Sequence[Change]) -> None:
        """Refuse changes that do not fit, as a database would."""
        known: dict[Key, bool] = {}
        for change in changes:
            there = known.get(change.key, change.key in self._rows)
            if isinstance(change, Created) and there:
                raise StoreUnavailable(f"the store has a thread {change.key.thread_id!r} already")
            if not there and not isinstance(change, Created | Deleted):
                raise StoreUnavailable(f"the store has no thread {change.key.thread_id!r} to write to")
            known[change.key] = not isinstance(change, Deleted)

    def _apply(self, change: Change) -> None:
        if isinstance(change, Created):
            self._rows[change.key] = _Row(change)
            return
        if isinstance(change, Deleted):
            self._rows.pop(change.key, None)
            return
        row = self._rows[change.key]
        row.written = time.time()
        if isinstance(change, Appended):
            row.entries.append((change.revision, change.kind, change.data))
            row.open = row.open if change.open is None else change.open
        elif isinstance(change, Accepted):
            row.inbox[change.run_id] = change.data
        elif isinstance(change, Settled):
            row.inbox.pop(change.run_id, None)
        elif isinstance(change, Applied):
            row.applied[change.command_id] = (change.digest, change.run_id)
        elif isinstance(change, Compacted):
            row.revision, row.state, row.run = change.revision, change.state, change.run
            row.entries = [entry for entry in row.entries if entry[0] > change.revision]
