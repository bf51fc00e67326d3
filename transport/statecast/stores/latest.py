"""`Latest`: the end of a thread's log in memory, so that followers find what is new without reading the thread."""

from __future__ import annotations

from collections import deque
from typing import Final

from .key import Key
from .log import Appended, Assigned, BatchAccepted, BatchChanged, BatchSettled, Kind, Renewed, SavedThread
from .shared import Place, SharedChange, Tail

__all__ = ["Latest"]

#: Bytes of the latest entries that are kept; those before are read from the store.
KEPT: Final = 262_144

#: Bytes of entries in a tail, about.
SOME: Final = 262_144


class Latest:
    """The end of a thread's log, and its inbox, as they were written.

    Args:
        saved: The thread.
        version: Of the inbox; later ones are greater.
    """

    __slots__ = ("agent", "entries", "epoch", "inbox", "revision", "size", "start", "version")

    def __init__(self, saved: SavedThread, version: int) -> None:
        self.epoch = saved.epoch
        self.agent = saved.agent
        self.start = saved.revision  #: the revision after which there is every entry
        self.entries = deque(saved.entries)
        self.revision = saved.entries[-1][0] if saved.entries else saved.revision
        self.inbox = dict(saved.inbox)
        self.version = version
        self.size = sum(len(data) for _, _, data in saved.entries)

    def apply(self, change: SharedChange) -> None:
        """Follow a change that was written."""
        match change:
            case Appended(_, revision, kind, data):
                self.revision = revision
                self.entries.append((revision, kind, data))
                self.size += len(data)
                while self.size > KEPT and len(self.entries) > 1:
                    self.start, _, gone = self.entries.popleft()
                    self.size -= len(gone)
            case BatchAccepted(_, run_id, data):
                self.inbox[run_id] = data
                self.version += 1
            case BatchChanged(_, run_id, data):
                if run_id in self.inbox:
                    self.inbox[run_id] = data
                    self.version += 1
            case BatchSettled(_, run_id):
                self.inbox.pop(run_id, None)
                self.version += 1
            case Assigned(_, agent):
                self.agent = agent
                self.version += 1
            case Renewed(_, epoch):
                self.epoch = epoch

    def tail(self, key: Key, place: Place) -> Tail | None:
        """Return what is new since a place."""
        same = place.epoch == self.epoch
        if same and place.revision == self.revision and place.version == self.version:
            return None
        reaches = same and self.start <= place.revision <= self.revision
        entries: list[tuple[int, Kind, bytes]] = []
        more = False
        if reaches:
            size = 0
            for entry in list(self.entries)[len(self.entries) - (self.revision - place.revision) :]:
                if size > SOME:
                    more = True
                    break
                entries.append(entry)
                size += len(entry[2])
        return Tail(
            key=key,
            epoch=self.epoch,
            version=self.version,
            agent=self.agent,
            entries=entries,
            inbox=() if place.version == self.version else list(self.inbox.items()),
            more=more,
            truncated=not reaches,
            ahead=same and place.revision > self.revision,
        )
