"""Frames on a stream: four bytes of length, and a message. All frames of one turn of the event loop leave together.

Whoever sends a call waits for its reply, and a reply is as large as what was asked for. Nobody asks for hints: if the
other end does not keep up with reading, they wait here, each topic once.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection
from typing import Final, cast

__all__ = ["MOST", "TOPICS", "Frames", "FramesBroken"]

_LENGTH: Final = struct.Struct(">I")

#: Bytes of a frame. The largest hold a thread with its state, its log and its inbox.
MOST: Final = 2**30


class FramesBroken(Exception):
    """What was received is no frame."""


#: Topics that wait at most. The hints at others are lost: who follows one looks from time to time.
TOPICS: Final = 65_536


class Frames(asyncio.Protocol):
    """One end of a stream of frames. Subclasses receive them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._leaving: list[bytes] = []
        self._full = False  #: whether the other end is to read what was sent before there is more
        self._topics: set[str] = set()  #: hints that wait for that

    def hints(self, topics: Collection[str]) -> bytes:
        """Return the frame of hints at topics."""
        raise NotImplementedError

    def receive(self, frame: bytes) -> None:
        """Receive a frame."""
        raise NotImplementedError

    def lost(self) -> None:
        """Note that there is no connection any more."""
        raise NotImplementedError

    def send(self, frame: bytes) -> None:
        """Send a frame at the end of this turn of the event loop; without a connection it is dropped."""
        if not self._leaving:
            self._loop.call_soon(self._flush)
        self._leaving += (_LENGTH.pack(len(frame)), frame)

    def hint(self, topics: Collection[str]) -> None:
        """Hint at topics, as soon as the other end has read what was sent before."""
        if not self._full:
            self.send(self.hints(topics))
        elif len(self._topics) < TOPICS:
            self._topics.update(topics)

    def pause_writing(self) -> None:
        """Hold hints back."""
        self._full = True

    def resume_writing(self) -> None:
        """Send the hints that were held back."""
        self._full = False
        topics, self._topics = self._topics, set()
        if topics:
            self.send(self.hints(topics))

    def close(self) -> None:
        """Send what waits, and close the connection."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        leaving, self._leaving = self._leaving, []
        if leaving and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(leaving))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._transport = None
        self.lost()

    def data_received(self, data: bytes) -> None:
        """Cut what was received into frames."""
        received = self._received
        received += data
        start = 0
        while len(received) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, start)
            if length > MOST:
                raise FramesBroken(f"expected a frame of at most {MOST} bytes, got one of {length}")
            end = start + _LENGTH.size + length
            if end > len(received):
                break
            self.receive(bytes(received[start + _LENGTH.size : end]))
            start = end
        if start:
            del received[:start]
