"""Readers: one connection each, following a thread. A reader is a place in the log and an encoder, never a queue.

What it has not read yet costs nothing: it is in the log anyway. When the log no longer reaches back to a reader's
place, it gets the state as it is now and goes on from there. What the store does not have yet, no reader sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from statecast.protocol import Encoder, Entry

if TYPE_CHECKING:
    from .thread import Thread

__all__ = ["Reader"]


class Reader:
    """Follows a thread from a place in its log.

    Args:
        thread: The thread.
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
        "_encoder",
        "_endless",
        "_finished",
        "_goal",
        "_held",
        "_snapshot",
        "_thread",
        "_whole",
        "quiet",
        "revision",
        "send_bytes",
        "until",
        "waiting",
    )

    def __init__(
        self,
        thread: Thread,
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
        self._thread = thread
        self._whole = whole
        self._encoder = encoder
        self._endless = endless
        self._goal = thread.log.revision  #: where a stream without a run ends
        self._snapshot = snapshot
        #: a snapshot that the store does not have yet, and what it does not stand for
        self._held: tuple[int, bytes, Sequence[Entry]] | None = None
        self._beat = False
        self._closing = False
        self._finished = False
        self.waiting: asyncio.Future[None] | None = None  #: what `wait` waits for

    def take(self) -> bytes:
        """Return everything that is there to send, in one piece; `b""` if there is nothing yet."""
        if self._finished:
            return b""
        log = self._thread.log
        active = self._thread.active
        if active is not None and not active.begun:
            self._finished = self._closing
            return b""  # the first frame is to show what the run begins with
        pieces: list[bytes] = []
        if self._snapshot or self.revision < log.start or (self._whole and self.revision < log.visible):
            pieces = self._take_snapshot()
        if self._held is None and self.revision >= log.start:  # a snapshot that was held may be far behind already
            size = 0
            encode = self._encoder.encode
            end = self._end()
            for entry in log.after(self.revision):
                if end is not None and entry.revision > end:
                    break  # what comes after is another run's
                frame = encode(entry)
                self.revision = entry.revision
                if frame:
                    pieces.append(frame)
                    size += len(frame)
                    if size >= self.send_bytes:
                        break
            if end is not None and self.revision >= end:
                pieces.append(self._encoder.finish())
                self._finished = True
        if self._closing and (self._held is not None or self.revision >= log.visible):
            self._finished = True
        if not pieces and self._beat:
            pieces.append(self._encoder.heartbeat)
        self._beat = False
        if pieces:
            self.quiet = False
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def finished(self) -> bool:
        """Whether `take` has returned the last of the stream."""
        return self._finished

    async def wait(self) -> None:
        """Wait until there may be something to take. Cancelling the wait loses nothing."""
        if self._finished or self._beat or self._closing:
            return
        active = self._thread.active
        held = self._held is not None or (active is not None and not active.begun)
        if not held and self.revision < self._thread.log.visible:
            return
        self.waiting = self._thread.loop.create_future()
        try:
            await self.waiting
        finally:
            self.waiting = None

    def wake(self) -> None:
        """Let `wait` return."""
        waiting = self.waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def beat(self) -> None:
        """Send a heartbeat, if nothing else was sent since the last call."""
        if self.quiet:
            self._beat = True
            self.wake()
        self.quiet = True

    def close(self) -> None:
        """End the stream early, behind what is there, so that its client reconnects."""
        self._closing = True
        self.wake()

    def _take_snapshot(self) -> list[bytes]:
        """Return the state as it is, and what it does not stand for; nothing while the store does not have it yet."""
        thread, encoder = self._thread, self._encoder
        if self._held is None:
            at, state = thread.snapshot()
            self._held = at, state, thread.log.rest(-1 if encoder.replays_parts else self.revision)
        at, state, rest = self._held
        if thread.log.visible < at:
            return []
        self._held = None
        self._snapshot = False
        self.revision = at
        return [encoder.snapshot(state, at, rest)]

    def _end(self) -> int | None:
        """Return the revision at which the stream ends; None while that is open."""
        if self._endless:
            return None
        return self._goal if self.until is None else self._thread.end_of(self.until)
