"""Past readers: they begin where the history of a thread begins, and go on as ordinary readers of its log."""

from __future__ import annotations

from collections import deque

import msgspec

from statecast.protocol import Encoder, RunEntry, RunState
from statecast.protocol.errors import RequestError
from statecast.stores import read_entry
from statecast.stores.log import Kind

from .log.reader import Reader
from .log.stretch import Stretch
from .past import Past
from .thread import Thread

__all__ = ["PastReader"]


class PastReader:
    """Read a thread from the first revision that is known.

    One stretch of the log is in memory at a time; a client that takes long over it holds up nobody.

    Args:
        past: Reads what threads were.
        thread: The thread.
        reader: Goes on where the log reaches back to. It has taken nothing yet, and is before every entry.
        encoder: The reader's.
        send_bytes: About how much `take` returns at most.
    """

    def __init__(self, past: Past, thread: Thread, reader: Reader, encoder: Encoder, *, send_bytes: int) -> None:
        self._past = past
        self._thread = thread
        self._reader = reader
        self._encoder = encoder
        self._send_bytes = send_bytes
        self._first: bytes | None = None  #: the snapshot that is to be sent
        self._entries: deque[tuple[int, Kind, bytes]] = deque()  #: what follows
        self._revision: int | None = None  #: of what was taken last; None: nothing was
        self._caught_up = False

    @property
    def finished(self) -> bool:
        """Return whether `take` has returned the last of the stream."""
        return self._reader.finished

    def take(self) -> bytes:
        """Return what there is to send, in one piece."""
        if self._caught_up or self._reader.closing:
            return self._reader.take()
        pieces: list[bytes] = []
        size = 0
        if self._first is not None:
            pieces, size, self._first = [self._first], len(self._first), None
        while self._entries and size < self._send_bytes:
            entry = read_entry(*self._entries.popleft())
            pieces.append(self._encoder.encode(entry))
            size += len(pieces[-1])
            self._revision = entry.revision
        if not self._entries and self._revision is not None and self._thread.log.reaches(self._revision):
            self._go_on()
        return b"".join(pieces)

    async def wait(self) -> None:
        """Wait until `take` may return something."""
        if self._caught_up or self._reader.closing:
            await self._reader.wait()
        elif self._first is None and not self._entries:
            await self._read()

    def _go_on(self) -> None:
        """Go on as an ordinary reader; where the log does not reach back to the place, that begins with a snapshot."""
        if self._revision is not None:
            self._reader.revision = self._revision
        self._caught_up = True

    async def _read(self) -> None:
        """Read the next stretch."""
        thread, revision = self._thread, self._revision
        try:
            if revision is None:
                stretch = await self._past.first(thread)
                revision = stretch.revision
                self._first = self._snapshot(stretch)
            else:
                stretch = await self._past.stretch(thread, revision)
        except RequestError:  # it is gone or cannot be read; what the log has can be
            self._go_on()
            return
        self._revision, visible = revision, thread.log.visible
        self._entries.extend(entry for entry in stretch.entries if revision < entry[0] <= visible)
        if not self._entries and self._first is None:
            self._go_on()

    def _snapshot(self, stretch: Stretch) -> bytes:
        run = msgspec.json.decode(stretch.run, type=RunState | None)
        return self._encoder.snapshot(
            stretch.state, stretch.revision, [] if run is None else [RunEntry(stretch.revision, run)]
        )
