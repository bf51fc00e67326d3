"""The log of one thread: its latest entries, and what must be kept of the older ones.

Operations that fell off the end are gone: whoever still needs them gets a snapshot instead. Chunks and runs have no
snapshot, so those of the latest runs are kept (`older`), neighbouring deltas of one part merged into one, except where
a reader stands between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry
from statecast_agents.chunks import TextDelta

__all__ = ["Log"]

OLDER_RUNS: Final = 8  #: run entries kept in `older`


class Log:
    """The entries of one thread.

    Args:
        keep_entries: Entries kept for readers to catch up on.
        keep_bytes: Bytes of them, about.
    """

    def __init__(self, *, keep_entries: int, keep_bytes: int) -> None:
        self.revision = 0  #: of the last entry
        self.older: list[ChunkEntry | RunEntry] = []  #: kept from before `start`
        self._keep_entries = keep_entries
        self._keep_bytes = keep_bytes
        self._entries: list[Entry] = []
        self._bytes = 0

    @property
    def start(self) -> int:
        """The revision after which every entry is there."""
        return self.revision - len(self._entries)

    def append(self, entry: Entry, readers: Iterable[int] = ()) -> None:
        """Add the entry numbered `revision + 1`; `readers` are where those that follow stand."""
        self._entries.append(entry)
        self._bytes += entry.size
        self.revision = entry.revision
        if len(self._entries) > 2 * self._keep_entries or self._bytes > 2 * self._keep_bytes:
            self._trim(sorted(readers))

    def after(self, revision: int) -> Sequence[Entry]:
        """Return the entries after `revision`, which is at or past `start`."""
        count = self.revision - revision
        return self._entries[-count:] if count else ()

    def rest(self, revision: int) -> list[ChunkEntry | RunEntry]:
        """Return the entries after `revision` that a snapshot does not stand for, however old they are."""
        later = [entry for entry in self._entries if not isinstance(entry, OperationsEntry)]
        return [entry for entry in [*self.older, *later] if entry.revision > revision]

    def forget_parts(self, readers: Iterable[tuple[int, str | None]] = ()) -> None:
        """Drop older chunks that no reader still needs: a run begins, and a message with it.

        Args:
            readers: Where each stands, and the run whose stream it is: of other runs it needs none.
        """
        needed: dict[str | None, int] = {}
        for revision, run_id in readers:
            needed[run_id] = min(revision, needed.get(run_id, revision))
        runs = [entry.revision for entry in self.older if isinstance(entry, RunEntry)][-OLDER_RUNS:]
        self.older = [
            entry
            for entry in self.older
            if entry.revision in runs or entry.revision > needed.get(_run(entry), self.revision)
        ]

    def _trim(self, readers: Sequence[int]) -> None:
        count = 0
        while count < len(self._entries) - 1 and (
            len(self._entries) - count > self._keep_entries or self._bytes > self._keep_bytes
        ):
            self._bytes -= self._entries[count].size
            count += 1
        gone = [entry for entry in self._entries[:count] if not isinstance(entry, OperationsEntry)]
        del self._entries[:count]
        if gone:
            last = [self.older.pop()] if self.older else []
            for _, group in groupby([*last, *gone], key=lambda entry: _growing(entry, readers)):
                self.older.extend(_merged(list(group)))


def _run(entry: ChunkEntry | RunEntry) -> str:
    return entry.run_id if isinstance(entry, ChunkEntry) else entry.run.id


def _growing(entry: ChunkEntry | RunEntry, readers: Sequence[int]) -> object:
    """Return the same for entries that may be merged: deltas of one part with no reader between them."""
    if isinstance(entry, ChunkEntry) and isinstance(entry.chunk, TextDelta):
        return entry.run_id, entry.chunk.part, bisect_left(readers, entry.revision)
    return entry.revision


def _merged(entries: list[ChunkEntry | RunEntry]) -> list[ChunkEntry | RunEntry]:
    last = entries[-1]
    if len(entries) == 1 or not isinstance(last, ChunkEntry) or not isinstance(last.chunk, TextDelta):
        return entries
    texts = [
        entry.chunk.text for entry in entries if isinstance(entry, ChunkEntry) and isinstance(entry.chunk, TextDelta)
    ]
    return [ChunkEntry(last.revision, last.run_id, TextDelta(part=last.chunk.part, text="".join(texts)))]
