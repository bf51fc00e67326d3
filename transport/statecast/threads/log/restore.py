"""Restoring a stored thread: its state, and the entries of its log. Any of it may be damaged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.protocol import Entry, RunState
from statecast.stores import Damaged, SavedThread, read_entry
from statecast.stores.log import Kind
from statecast_agents import Document, operations
from statecast_agents.memory_versions import Record, decode

__all__ = ["RestoredThread", "replay", "restore"]


class RestoredThread(msgspec.Struct, frozen=True):
    """A thread as of its last stored entry."""

    document: Document
    entries: Sequence[Entry]  #: after the store's snapshot
    run: RunState | None  #: the latest at the snapshot
    memory: Sequence[Record]  #: the versions of its memory


def restore(saved: SavedThread) -> RestoredThread:
    """Restore a thread. Damage raises any exception."""
    entries = [read_entry(*entry) for entry in saved.entries]
    first = saved.revision + 1
    if [entry.revision for entry in entries] != list(range(first, first + len(entries))):
        raise Damaged(f"entries are missing after revision {saved.revision}")
    run = msgspec.json.decode(saved.run, type=RunState | None)
    memory = sorted(Record(int(number), decode(data)) for number, data in saved.memory)
    return RestoredThread(replay(saved.state, saved.entries), entries, run, memory)


def replay(state: bytes, entries: Sequence[tuple[int, Kind, bytes]], until: int | None = None) -> Document:
    """Return a state, which is JSON, after the operations of the entries that follow it, up to a revision or all."""
    document = Document.adopting(msgspec.json.decode(state))
    for revision, kind, data in entries:
        if kind == "operations" and (until is None or revision <= until):
            for operation in operations.decode(data):
                document.apply(operation)
    document.flush()
    return document
