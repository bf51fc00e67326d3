"""Readers: one connection each, following a thread. A reader is a place in the log and an encoder, never a queue.

What it has not read yet costs nothing: it is in the log anyway. When the log no longer reaches back to a reader's
place, it gets the state as it is now and goes on from there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from statecast.protocol import Encoder

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
        until: The run whose end is the end of the stream; None: it ends as soon as it has caught up.
        send_bytes: About how much `take` returns at most, though never less than one entry.
    """

    __slots__ = (
        "_beat",
        "_encoder",
        "_finished",
        "_snapshot",
        "_thread",
        "_waiting",
        "quiet",
        "revision",
        "send_bytes",
        "until",
    )

    def __init__(
        self,
        thread: Thread,
        encoder: Encoder,
        *,
        revision: int,
        snapshot: bool = False,
        until: str | None = None,
        send_bytes: int = 65_536,
    ) -> None:
        self.revision = revision
        self.until = until
        self.send_bytes = send_bytes
        self.quiet = True  #: whether nothing was taken since the last heartbeat was due
        self._thread = thread
        self._encoder = encoder
        self._snapshot = snapshot
        self._beat = False
        self._finished = False
        self._waiting: asyncio.Future[None] | None = None

    def take(self) -> bytes:
        """Return everything that is there to send, in one piece; `b""` if there is nothing yet."""
        if self._finished:
            return b""
        thread = self._thread
        log = thread.log
        pieces: list[bytes] = []
        if self._snapshot or self.revision < log.start:
            thread.flush()
            pieces.append(self._encoder.snapshot(thread.encoded()))
            pieces += map(self._encoder.encode, log.rest(self.revision))
            self._snapshot = False
            self.revision = log.revision
        size = 0
        encode = self._encoder.encode
        for entry in log.after(self.revision):
            frame = encode(entry)
            pieces.append(frame)
            self.revision = entry.revision
            size += len(frame)
            if size >= self.send_bytes:
                break
        if self.revision == log.revision and (self.until is None or not thread.is_live(self.until)):
            pieces.append(self._encoder.finish())
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
        thread = self._thread
        if self.revision != thread.log.revision or self._beat:
            return
        self._waiting = thread.loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def wake(self) -> None:
        """Let `wait` return."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def beat(self) -> None:
        """Send a heartbeat, if nothing else was sent since the last call."""
        if self.quiet:
            self._beat = True
            self.wake()
        self.quiet = True

    def close(self) -> None:
        """End the stream early, so that its client reconnects: nothing more is taken."""
        self._finished = True
        self.wake()
