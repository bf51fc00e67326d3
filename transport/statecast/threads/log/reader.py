"""Readers: each follows a thread for one connection. A reader is a position in the log and an encoder, never a queue.

Unread entries cost nothing: the log holds them anyway. When the log no longer reaches back to a reader's position, the
reader gets a snapshot and continues from there. Entries that are not stored yet are invisible to readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from statecast.protocol import ChunkEntry, Encoder, Entry, OperationsEntry, RunEntry, RunError
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.threads.offload import LARGE, offload

from .log import Stepped
from .logged_state import LoggedState
from .run_queue import RunQueue

__all__ = ["Reader"]

#: Bytes at most that are cached for other readers at the same place, on each thread and for each protocol.
SHARED: Final = 4_096


class Reader:
    """Follow a thread from a position in its log.

    Args:
        state: The thread's state, and its log.
        queue: The thread's runs.
        encoder: The protocol, for this stream.
        revision: The place: entries after it are read.
        snapshot: Whether the state as it is comes first.
        until: The run whose end is the end of the stream; None: the stream ends as soon as it has caught up.
        endless: Whether the stream goes on until someone closes it, whatever `until` says.
        whole: Whether every change is shown as the whole state again.
        send_bytes: About how much `take` returns at most, though never less than one entry.
    """

    __slots__ = (
        "_beat",
        "_closing",
        "_due",
        "_encoder",
        "_expired",
        "_frame",
        "_fresh",
        "_goal",
        "_kind",
        "_last_queue",
        "_log",
        "_plain",
        "_queue",
        "_queue_at",
        "_snapshot",
        "_state",
        "_unstored",
        "_waiting",
        "_whole",
        "_written",
        "driver",
        "endless",
        "finished",
        "quiet",
        "revision",
        "send_bytes",
        "until",
    )

    def __init__(
        self,
        state: LoggedState,
        queue: RunQueue[Any],
        encoder: Encoder,
        *,
        revision: int,
        snapshot: bool = False,
        until: str | None = None,
        endless: bool = False,
        whole: bool = False,
        send_bytes: int = 65_536,
    ) -> None:
        self.revision = revision
        self.until = until
        self.send_bytes = send_bytes
        self.quiet = True  #: whether nothing was taken since the last heartbeat was due
        self._state = state
        self._log = state.log
        self._queue = queue
        self._whole = whole
        self._encoder = encoder
        self.endless = endless
        self._kind = None if whole else encoder.shared
        #: Whether all that can be due are operations since the last `take`. Then what another reader got at the same
        #: place is right for this one too; a snapshot, a queue, a heartbeat and an end are each reader's own.
        self._plain = False
        self._last_queue = b"[]"  #: the queue's frame that was sent last
        self._queue_at = 0  #: as of which of its turns
        self._goal = state.log.revision  #: where a stream without a run ends
        self._snapshot = snapshot
        #: Whether the encoder is still to read the state. That takes long if it is large: `wait` does it in a thread.
        self._fresh = not snapshot and encoder.shared is None
        self._due: Callable[[], None] | None = None  #: slow work for `wait`: `take` may not block the event loop
        self._written: bytes | None = None  #: the snapshot that is not stored yet, encoded
        self._frame: bytes | None = None  #: the next entry, encoded
        #: a snapshot that the store does not have yet, and the entries that it does not include
        self._unstored: tuple[int, bytes, Sequence[Entry]] | None = None
        self._beat = False
        self._closing = False
        self._expired: RunError | None = None  #: why its client may see nothing more
        self.finished = False  #: whether `take` has returned the last of the stream
        self.driver: Stepped | None = None  #: what sends its frames when the log steps it, without a task that waits
        self._waiting: asyncio.Future[None] | None = None  #: what `wait` waits for

    def take(self) -> bytes:
        """Return everything that can be sent now; `b""` if there is nothing."""
        log, queue, start = self._log, self._queue, self.revision
        plain = self._plain
        active = queue.active
        if plain and self._queue_at == queue.turned and (self.endless or self._end() is None):
            visible = log.visible
            if visible == start:
                return b""
            shared = log.frames.get(self._kind)  # what another reader has taken at the same place
            if shared is not None and shared[0] == start and shared[1] == visible:
                self.revision = visible
                self.quiet = False
                return shared[2]
            if visible == start + 1 and (active is None or active.begun):  # one entry, as nearly always
                entry = log.next(start)
                if type(entry) is OperationsEntry and len(entry.operations) < LARGE:
                    data = self._encoder.encode(entry)
                    if len(data) <= SHARED and len(log.readers) > 1:
                        log.frames[self._kind] = start, visible, data
                    self.revision = visible
                    self.quiet = False
                    return data
        if self.finished:
            return b""
        if self._expired is not None:
            self.finished = True
            return self._encoder.expire(self._expired)
        if active is not None and not active.begun and not self._closing:
            self._beat = False  # with it, `wait` would return at once, again and again
            return b""  # the first frame is to show what the run begins with
        pieces: list[bytes] = []
        if log.stale:
            plain = False  # and what the store has by now comes soon
        elif self._snapshot or self.revision < log.start or (self._whole and self.revision < log.visible):
            pieces = self._take_snapshot()
            plain = False
        # No entries go out before a snapshot that is not stored yet. One that waited long may be older than the log's
        # oldest entry: then there is a gap, and the next `take` begins with another snapshot.
        if self._unstored is None and self.revision >= log.start and not log.stale:
            size = 0
            encode = self._encoder.encode
            heavy = self._state.size >= LARGE
            end = self._end()
            for entry in log.after(self.revision):
                if end is not None and entry.revision > end:
                    break  # what comes after is another run's
                frame = self._encoded(entry) if heavy else encode(entry)
                if frame is None:
                    break  # `wait` has it encoded
                self.revision = entry.revision
                plain = plain and type(entry) is OperationsEntry
                if frame:
                    pieces.append(frame)
                    size += len(frame)
                    if size >= self.send_bytes:
                        break
            plain = plain and end is None
            if end is not None and self.revision >= end:
                pieces.append(self._encoder.finish())
                self.finished = True
        if self._queue_at != queue.turned and self._unstored is None and queue.stored:
            pieces += self._take_queue()
        # A closing stream waits neither for a snapshot to be stored, nor for what the store has: it may be away.
        if self._closing and (self._unstored is not None or log.stale or self.revision >= log.visible):
            self.finished = True
        if not pieces and self._beat:
            pieces.append(self._encoder.heartbeat)
        self._beat = False
        self._plain = self._kind is not None and self._unstored is None and not self._closing and not self.finished
        if not pieces:
            return b""
        self.quiet = False
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if plain and len(data) <= SHARED and len(log.readers) > 1:
            log.frames[self._kind] = start, self.revision, data
        return data

    async def replay(self, run_id: str | None = None) -> bytes:
        """Wait until everything that has happened is stored, and return it.

        Args:
            run_id: The run whose message parts from before the reader's place come first: they are in no state.
        """
        log = self._log
        now = log.visible
        before = [entry for entry in log.rest(-1) if isinstance(entry, ChunkEntry) and entry.revision <= self.revision]
        pieces = [self._encoder.encode(entry) for entry in before if entry.run_id == run_id]
        while not self.finished and (self._snapshot or self.revision < now):
            pieces.append(self.take())
            if not pieces[-1]:
                await self.wait()
        return b"".join(pieces)

    async def wait(self) -> None:
        """Wait until `take` may return something. Cancelling the wait loses nothing."""
        if self._due is not None:
            work, self._due = self._due, None
            await offload(self._state.size, work)
            return
        if self.finished or self._beat or self._closing:
            return
        queue = self._queue
        active = queue.active
        held = self._unstored is not None or self._log.stale or (active is not None and not active.begun)
        quiet = self.revision >= self._log.visible and (self._queue_at == queue.turned or not queue.stored)
        if held or quiet:
            self._waiting = self._state.loop.create_future()
            await self._waiting

    @property
    def behind(self) -> bool:
        """Whether there is more to send: the last `take` returned as much as one send may hold."""
        return self.revision < self._log.visible or self._due is not None

    @property
    def over(self) -> bool:
        """Whether the log has the end of the stream: nothing follows that could share a send with what there is."""
        end = self._end()
        return self._closing or (end is not None and end <= self._log.visible)

    @property
    def closing(self) -> bool:
        """Whether the stream ends soon, wherever the reader is."""
        return self._closing

    @property
    def is_slow(self) -> bool:
        """Whether the next frame is slow to encode: `wait` does that off the event loop."""
        return self._due is not None

    def step(self) -> None:
        """Wake `wait`."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def beat(self) -> None:
        """Have a heartbeat ready, if nothing else was sent since the last call."""
        if self.quiet:
            self._beat = True
            self._plain = False
        self.quiet = True

    def close(self) -> None:
        """Have the stream end after what can be sent now, so that its client reconnects."""
        self._closing = True
        self._plain = False

    def expire(self, error: RunError) -> None:
        """End the stream at once, with the reason: its client may see nothing more."""
        self._expired = error
        self.close()
        (self.driver or self).step()

    def renew(self, epoch: str | None = None) -> None:
        """Go on in a log that was restored from the store, whose head may be before this place.

        Args:
            epoch: Of the log, if it is another one: then a snapshot comes first.
        """
        dropped = self._unstored is not None  # it may have held what was never stored
        self._unstored = self._written = self._frame = self._due = None
        if epoch is not None and isinstance(self._encoder, EventsEncoder):
            self._encoder.epoch = epoch
        self._snapshot = self._snapshot or dropped or epoch is not None
        self.revision = min(self.revision, self._log.visible)
        self._goal = min(self._goal, self._log.visible)
        self._plain = False

    def _take_snapshot(self) -> list[bytes]:
        """Return a snapshot and what it does not include; nothing until the store has the state."""
        state, encoder = self._state, self._encoder
        if state.gone:
            self.finished = True  # there is no state any more
            return []
        if self._unstored is None:
            at, text = state.snapshot()
            self._unstored = at, text, self._log.rest(-1 if encoder.replays_parts else self.revision)
        at, text, _ = self._unstored
        if self._log.visible < at:
            return []
        if self._written is None and len(text) < LARGE:
            self._write_snapshot()
        if self._written is None:
            self._due = self._write_snapshot
            return []
        pieces = [piece for piece in (self._frame, self._written) if piece is not None]
        self._unstored = self._written = self._frame = None
        self._snapshot = self._fresh = False
        self.revision = at
        return pieces

    def _write_snapshot(self) -> None:
        if self._unstored is None:
            return  # the log was restored meanwhile
        at, state, rest = self._unstored
        self._written = self._encoder.snapshot(state, at, rest)

    def _encoded(self, entry: Entry) -> bytes | None:
        """Return an entry's frame; None if `wait` must encode it off the event loop.

        An entry may be large, and on the first entries, up to that of its run, a projection reads the whole state.
        """
        if self._frame is None:
            large = isinstance(entry, OperationsEntry) and len(entry.operations) >= LARGE
            if not large and not self._fresh:
                return self._encoder.encode(entry)
            self._due = partial(self._write_frame, entry)
            return None
        frame, self._frame = self._frame, None
        self._fresh = self._fresh and not isinstance(entry, RunEntry)
        return frame

    def _write_frame(self, entry: Entry) -> None:
        frame = self._encoder.encode(entry)
        if entry.revision == self.revision + 1:  # else the log was restored meanwhile
            self._frame = frame

    def _take_queue(self) -> list[bytes]:
        """Return the queue's frame, if the stream shows the queue and it changed."""
        queue, encoder = self._queue, self._encoder
        self._queue_at = queue.turned
        if not isinstance(encoder, EventsEncoder):
            return []
        before, self._last_queue = self._last_queue, queue.as_json()
        return [encoder.queued(self.revision, self._last_queue)] if self._last_queue != before else []

    def _end(self) -> int | None:
        """Return the revision at which the stream ends; None if that is not known yet."""
        if self.endless:
            return None
        return self._goal if self.until is None else self._queue.end_of(self.until)
