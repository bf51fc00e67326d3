"""What keeps resumable streams: the interface, and a store in this process."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

__all__ = [
    "DEFAULT_TTL_MS",
    "CancellationSignal",
    "ResumableStreamEntry",
    "ResumableStreamError",
    "ResumableStreamErrorCode",
    "ResumableStreamRole",
    "ResumableStreamStatus",
    "ResumableStreamStore",
    "create_in_memory_resumable_stream_store",
    "validate_stream_id",
]

DEFAULT_TTL_MS: Final = 24 * 60 * 60 * 1000  #: milliseconds that a stream is kept after its last piece

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,256}", re.ASCII)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"  #: of cursors

ResumableStreamRole = Literal["producer", "consumer"]
ResumableStreamStatus = Literal["streaming", "done", "error", "missing"]
ResumableStreamErrorCode = Literal["missing", "exists", "finalized", "invalid-id"]


class ResumableStreamError(Exception):
    """Something that cannot be done with a stream; `code` says why."""

    def __init__(self, code: ResumableStreamErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ResumableStreamEntry:
    """A piece of a stream, and the cursor behind it."""

    cursor: str
    chunk: bytes


class CancellationSignal(Protocol):
    """Tells a store that nobody reads any more."""

    def is_set(self) -> bool: ...

    async def wait(self) -> bool: ...


class ResumableStreamStore(Protocol):
    """Keeps streams."""

    async def acquire(self, stream_id: str, *, ttl_ms: int | None = None) -> ResumableStreamRole: ...

    async def append(self, stream_id: str, chunk: bytes) -> None: ...

    async def finalize(self, stream_id: str, status: Literal["done", "error"], error: str | None = None) -> None: ...

    def read(self, stream_id: str, cursor: str, signal: CancellationSignal) -> AsyncIterator[ResumableStreamEntry]: ...

    async def status(self, stream_id: str) -> ResumableStreamStatus: ...

    async def delete(self, stream_id: str) -> None: ...


def validate_stream_id(stream_id: str) -> None:
    """Check a stream's id.

    Raises:
        ResumableStreamError: `invalid-id`.
    """
    if _ID.fullmatch(stream_id) is None:
        raise ResumableStreamError("invalid-id", f"Invalid streamId: {stream_id} (must match {_ID.pattern})")


class _Kept:
    """A stream in memory.

    Args:
        ttl: Milliseconds that it is kept after its last piece.
        now: The time in milliseconds.
    """

    def __init__(self, ttl: float, now: float) -> None:
        self.pieces: list[bytes] = []
        self.status: ResumableStreamStatus = "streaming"
        self.error = ""
        self.grown = asyncio.Event()  #: replaced whenever it is set
        self._ttl = ttl
        self.until = now + ttl

    def wake(self, now: float | None = None) -> None:
        """Wake the readers; with a time, the stream is kept for another while."""
        if now is not None:
            self.until = now + self._ttl
        self.grown.set()
        self.grown = asyncio.Event()


class _InMemoryStore:
    """Keeps streams in this process; see `create_in_memory_resumable_stream_store`."""

    def __init__(
        self,
        default_ttl_ms: int,
        now: Callable[[], float],
        max_chunk_bytes: int | None,
        max_entries_per_stream: int | None,
        max_streams: int | None,
        gc_interval_ms: int | None,
    ) -> None:
        self._streams: dict[str, _Kept] = {}
        self._ttl = default_ttl_ms
        self._now = now
        self._max_chunk_bytes = max_chunk_bytes
        self._max_entries = max_entries_per_stream
        self._max_streams = max_streams
        self._interval = gc_interval_ms
        self._sweeping: asyncio.Task[None] | None = None

    async def acquire(self, stream_id: str, *, ttl_ms: int | None = None) -> ResumableStreamRole:
        """Return whether the caller is to make the stream, or only reads it.

        Raises:
            ResumableStreamError: `invalid-id`.
            RuntimeError: There are too many streams.
        """
        if self._find(stream_id) is not None:
            return "consumer"
        if self._max_streams is not None and len(self._streams) >= self._max_streams:
            raise RuntimeError("maxStreams exceeded")
        self._streams[stream_id] = _Kept(self._ttl if ttl_ms is None else ttl_ms, self._now())
        if self._interval is not None and self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep(self._interval / 1000))
        return "producer"

    async def append(self, stream_id: str, chunk: bytes) -> None:
        """Add a piece.

        Raises:
            ResumableStreamError: `finalized`.
            RuntimeError: There is no such stream, the piece is too large, or there are too many.
        """
        if self._max_chunk_bytes is not None and len(chunk) > self._max_chunk_bytes:
            raise RuntimeError(f"Chunk exceeds maxChunkBytes: {len(chunk)}")
        kept = self._found(stream_id)
        if kept.status != "streaming":
            raise ResumableStreamError("finalized", f"Stream already finalized: {stream_id}")
        if self._max_entries is not None and len(kept.pieces) >= self._max_entries:
            raise RuntimeError(f"Stream exceeded maxEntriesPerStream: {stream_id}")
        kept.pieces.append(chunk)
        kept.wake(self._now())

    async def finalize(self, stream_id: str, status: Literal["done", "error"], error: str | None = None) -> None:
        """End a stream; the first end counts.

        Raises:
            RuntimeError: There is no such stream.
        """
        kept = self._found(stream_id)
        if kept.status == "streaming":
            kept.status, kept.error = status, error or "Stream errored"
            kept.wake(self._now())

    async def read(
        self, stream_id: str, cursor: str, signal: CancellationSignal
    ) -> AsyncGenerator[ResumableStreamEntry, None]:
        """Yield the pieces behind a cursor, also those to come.

        Raises:
            RuntimeError: There is no such stream, or it ended with an error.
        """
        kept = self._found(stream_id)
        place = _number(cursor)
        while not signal.is_set():
            grown = kept.grown
            while place < len(kept.pieces) and not signal.is_set():
                place += 1
                yield ResumableStreamEntry(_cursor(place), kept.pieces[place - 1])
            if kept.status == "error":
                raise RuntimeError(kept.error)
            if kept.status == "done":
                return
            await _first_of(grown, signal, max(0.0, kept.until - self._now()) / 1000)
            self._drop_old()

    async def status(self, stream_id: str) -> ResumableStreamStatus:
        """Return how far a stream is.

        Raises:
            ResumableStreamError: `invalid-id`.
        """
        kept = self._find(stream_id)
        return "missing" if kept is None else kept.status

    async def delete(self, stream_id: str) -> None:
        """Forget a stream; who reads it is at its end."""
        kept = self._streams.pop(stream_id, None)
        if kept is not None:
            kept.status = "done" if kept.status == "streaming" else kept.status
            kept.wake()

    def dispose(self) -> None:
        """Stop looking for old streams."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._interval = None

    async def _sweep(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._drop_old()

    def _drop_old(self) -> None:
        now = self._now()
        for stream_id in [stream_id for stream_id, kept in self._streams.items() if kept.until <= now]:
            kept = self._streams.pop(stream_id)
            if kept.status == "streaming":
                kept.status, kept.error = "error", "Stream expired"
            kept.wake()

    def _find(self, stream_id: str) -> _Kept | None:
        validate_stream_id(stream_id)
        self._drop_old()
        return self._streams.get(stream_id)

    def _found(self, stream_id: str) -> _Kept:
        kept = self._find(stream_id)
        if kept is None:
            raise RuntimeError(f"Stream not found: {stream_id}")
        return kept


def create_in_memory_resumable_stream_store(
    *,
    default_ttl_ms: int = DEFAULT_TTL_MS,
    now: Callable[[], float] | None = None,
    max_chunk_bytes: int | None = None,
    max_entries_per_stream: int | None = None,
    max_streams: int | None = None,
    gc_interval_ms: int | None = None,
) -> _InMemoryStore:
    """Return a store that keeps streams in this process.

    Args:
        default_ttl_ms: Milliseconds that a stream is kept after its last piece.
        now: Returns the time in milliseconds.
        max_chunk_bytes: Bytes of a piece, at most.
        max_entries_per_stream: Pieces of a stream, at most.
        max_streams: Streams, at most.
        gc_interval_ms: Milliseconds between looks for old streams; None: they are found when the store is used.
    """
    clock = now or (lambda: time.monotonic() * 1000)
    return _InMemoryStore(default_ttl_ms, clock, max_chunk_bytes, max_entries_per_stream, max_streams, gc_interval_ms)


async def _first_of(grown: asyncio.Event, signal: CancellationSignal, seconds: float) -> None:
    """Wait until a stream has grown, nobody reads it any more, or its time is over."""
    waits = [asyncio.ensure_future(grown.wait()), asyncio.ensure_future(signal.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _cursor(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text or "0"


def _number(cursor: str) -> int:
    try:
        return int(cursor, len(_DIGITS))
    except ValueError:  # it is none of ours: from the start
        return 0
