"""The log of one thread: its latest entries, what is still needed of the older ones, and the readers that follow it.

A reader sees the entries that the store has, up to `visible`. When there are more, the log lets its readers read, a
slice of them in each turn of the event loop. What one reader has encoded is there for the others at the same place
(`frames`).

Operations that fell off the end are gone: whoever still needs them gets a snapshot instead. Chunks and runs have no
snapshot, so those of the latest runs are kept (`older`), neighbouring deltas of one part merged into one, except where
a reader stands between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, Protocol

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry
from statecast.protocol.entries import size_of
from statecast_agents.chunks import TextDelta

from .turn import Turn

__all__ = ["Follower", "Log", "Stepped"]

OLDER_RUNS: Final = 8  #: run entries kept in `older`
MERGED: Final = 65_536  #: bytes of merged deltas; beyond them a new entry begins, so that merging never copies more


#: Ends of runs that are remembered, for streams that are still to reach them.
ENDS: Final = 256


class Stepped(Protocol):
    """What reads when it is stepped."""

    def step(self) -> None:
        """Read, or let whoever waits for it read: there may be something. Raises nothing."""


class Follower(Stepped, Protocol):
    """What follows a log."""

    revision: int  #: the place: entries after it are yet to be read
    until: str | None  #: the run whose stream it is: of other runs it needs no parts
    endless: bool  #: whether it goes on across runs

    @property
    def driver(self) -> Stepped | None:
        """Return what is stepped in its place: what sends its frames, without a task that waits for them."""

    def beat(self) -> None:
        """Have a heartbeat ready, if it has been quiet."""

    def close(self) -> None:
        """Have its stream end early."""

    def renew(self, epoch: str | None) -> None:
        """Go on in a log that was restored, of another epoch if there is one."""


class Log:
    """The entries of one thread, and who follows them.

    Args:
        keep_entries: Entries kept for readers to catch up on.
        keep_bytes: Bytes of them, about.
        turn: At its end readers read.
    """

    __slots__ = (
        "_bytes",
        "_entries",
        "_keep_bytes",
        "_keep_entries",
        "_round",
        "_stale",
        "_turn",
        "closed",
        "ends",
        "frames",
        "older",
        "on_drop",
        "readers",
        "revision",
        "stale",
        "unread",
        "visible",
    )

    def __init__(self, *, keep_entries: int, keep_bytes: int, turn: Turn) -> None:
        self.revision = 0  #: of the last entry
        self.visible = 0  #: of the last entry that readers may see, because the store has it
        self.older: list[ChunkEntry | RunEntry] = []  #: kept from before `start`
        self.on_drop: Callable[[Sequence[Entry]], None] | None = None  #: called with the entries that are dropped
        self._keep_entries = keep_entries
        self._keep_bytes = keep_bytes
        self._entries: list[Entry] = []
        self._bytes = 0
        self.readers: dict[Follower, None] = {}  #: in the order in which they came
        self.closed = False  #: whether streams end early, because the server stops or the thread is gone
        #: what readers took last: after a revision, up to another, and the bytes; by what they have in common
        self.frames: dict[object, tuple[int, int, bytes]] = {}
        self.ends: dict[str, int] = {}  #: run id → the revision at which it ended; of the latest runs
        self.unread = False  #: whether readers are still to be stepped
        self.stale = False  #: whether the store has another log by now: until it is restored, nobody gets a snapshot
        self._turn = turn
        self._round: list[Follower] | None = None  #: readers that are still to be stepped, while there are many
        self._stale = False  #: whether those that were stepped before them must be stepped again

    @property
    def start(self) -> int:
        """The revision after which every entry is there."""
        return self.revision - len(self._entries)

    def reaches(self, revision: int) -> bool:
        """Whether a reader that has seen everything up to `revision` can go on from there."""
        return self.start <= revision <= self.visible

    def changed_after(self, revision: int) -> bool:
        """Return whether an entry after `revision` changed the state, visible or not; True where that is forgotten."""
        if revision < self.start:
            return True
        return any(isinstance(entry, OperationsEntry) for entry in self._entries[revision - self.start :])

    def restore(self, revision: int, entries: Sequence[Entry], older: Sequence[RunEntry] = ()) -> None:
        """Restore a stored log: the entries after `revision`, and what is known of those before."""
        self.older = list(older)
        self._entries = list(entries)
        self._bytes = sum(map(size_of, entries))
        self.revision = self.visible = revision + len(entries)
        self.stale = False
        self.frames.clear()
        for entry in entries:
            if isinstance(entry, RunEntry) and entry.run.ended:
                self._end(entry.run.id, entry.revision)

    def cut(self) -> None:
        """Drop the entries that are not visible, since they will never be stored, and wait for `restore`."""
        gone = self.revision - self.visible
        if gone > 0:
            del self._entries[-gone:]
            self._bytes = sum(map(size_of, self._entries))
            self.older = [entry for entry in self.older if entry.revision <= self.visible]
            self.ends = {id: revision for id, revision in self.ends.items() if revision <= self.visible}
            self.revision = self.visible
        self.stale = True

    def append(self, entry: Entry, size: int) -> None:
        """Add the entry numbered `revision + 1`, of about `size` bytes."""
        self._entries.append(entry)
        self._bytes += size
        self.revision = entry.revision
        if self._bytes > 2 * self._keep_bytes or len(self._entries) > 2 * self._keep_entries:
            self._trim()

    def end(self, run_id: str) -> None:
        """Record that a run ended with the last entry."""
        self._end(run_id, self.revision)

    def _end(self, run_id: str, revision: int) -> None:
        self.ends[run_id] = revision
        if len(self.ends) > ENDS:
            del self.ends[next(iter(self.ends))]

    def show(self, revision: int) -> None:
        """Make the entries up to `revision`, which the store has, visible to readers."""
        self.visible = revision
        self.wake()

    @property
    def hidden(self) -> bool:
        """Whether nothing may be seen, not even that there is a thread."""
        return self.visible < 0

    def hide(self) -> None:
        """Hide the log of a new thread until the store has the thread."""
        self.visible = -1

    def unhide(self) -> None:
        """Make the log visible: the store has the thread."""
        if self.hidden:
            self.show(self.start)

    def next(self, revision: int) -> Entry | None:
        """Return the entry after `revision`, which is before the last one; None if it is gone."""
        entries, place = self._entries, revision - self.revision
        return entries[place] if place + len(entries) >= 0 else None

    def join(self, reader: Follower) -> None:
        """Add a reader; `leave` removes it."""
        self.readers[reader] = None
        if self.closed:
            reader.close()

    def leave(self, reader: Follower) -> None:
        """Remove a reader, and what was shared with it."""
        self.readers.pop(reader, None)
        self.frames.clear()

    def wake(self) -> None:
        """Let all readers read at the end of the turn: there may be something."""
        self._stale = True
        if not self.unread and self.readers:
            self.unread = True
            self._turn.read_soon(self)

    def step(self, most: int) -> int:
        """Let up to `most` readers read, and return how many did; `unread` says whether others are still to read.

        What comes while they read by turns, each takes when its turn comes; those whose turn was before have another.
        """
        if self._round is None:
            self._stale = False
            if len(self.readers) == 1:
                self.unread = False
                (reader,) = self.readers
                (reader.driver or reader).step()
                return 1
            self._round = list(self.readers)
        readers = self._round[:most]
        del self._round[:most]
        for reader in readers:
            (reader.driver or reader).step()
        if not self._round:
            self._round = None
            self.unread = self._stale
        return len(readers)

    def beat(self) -> None:
        """Send heartbeats to idle readers."""
        for reader in self.readers:
            reader.beat()
        self.wake()

    def close(self) -> None:
        """End every stream early, including those that have not begun."""
        self.closed = True
        self.end_streams()

    def end_following(self) -> None:
        """End the streams early that go on across runs: their clients reconnect, and miss nothing."""
        for reader in self.readers:
            if reader.endless:
                reader.close()
        self.wake()

    @property
    def is_answered(self) -> bool:
        """Whether no stream here waits for the end of a run."""
        return all(reader.endless for reader in self.readers)

    def end_streams(self) -> None:
        """End the streams that there are early; others may begin."""
        for reader in self.readers:
            reader.close()
        self.wake()

    def after(self, revision: int) -> Sequence[Entry]:
        """Return the visible entries after `revision`, which is at or past `start`."""
        behind, hidden = self.revision - revision, self.revision - self.visible
        if hidden:
            return self._entries[-behind:-hidden] if behind > hidden else ()
        return self._entries[-behind:] if behind else ()

    def rest(self, revision: int) -> list[ChunkEntry | RunEntry]:
        """Return the entries after `revision` that a snapshot does not stand for, visible or not, however old."""
        later = [entry for entry in self._entries if not isinstance(entry, OperationsEntry)]
        return [entry for entry in [*self.older, *later] if revision < entry.revision]

    @property
    def before_the_end(self) -> int:
        """The revision before the last entry about a run: a reader from there sees how the run ended."""
        runs = [entry.revision for entry in self.rest(-1) if isinstance(entry, RunEntry)]
        return runs[-1] - 1 if runs else self.revision

    def discard_parts(self) -> None:
        """Drop older chunks that no reader still needs: a run begins, and a message with it."""
        if not self.older:
            return
        needed: dict[str | None, int] = {}
        for reader in self.readers:
            needed[reader.until] = min(reader.revision, needed.get(reader.until, reader.revision))
        runs = [entry.revision for entry in self.older if isinstance(entry, RunEntry)][-OLDER_RUNS:]
        self.older = [
            entry
            for entry in self.older
            if entry.revision in runs or entry.revision > needed.get(_run(entry), self.revision)
        ]

    def _trim(self) -> None:
        """Discard the oldest entries."""
        places = sorted(reader.revision for reader in self.readers)
        count = 0
        while count < len(self._entries) - 1 and (
            len(self._entries) - count > self._keep_entries or self._bytes > self._keep_bytes
        ):
            self._bytes -= size_of(self._entries[count])
            count += 1
        if self.on_drop is not None:
            self.on_drop(self._entries[:count])
        gone = [entry for entry in self._entries[:count] if not isinstance(entry, OperationsEntry)]
        del self._entries[:count]
        if gone:
            last = [self.older.pop()] if self.older and size_of(self.older[-1]) < MERGED else []
            for _, group in groupby([*last, *gone], key=lambda entry: _growing(entry, places)):
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
