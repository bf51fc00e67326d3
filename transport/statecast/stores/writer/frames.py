"""Frames on a stream: four bytes of length, and a message. All frames of one turn of the event loop leave together."""

from __future__ import annotations

import asyncio
import struct
from typing import Final, cast

__all__ = ["MOST", "Frames", "FramesBroken"]

_LENGTH: Final = struct.Struct(">I")

#: Bytes of a frame. The largest hold a thread with its state, its log and its inbox.
MOST: Final = 2**30


class FramesBroken(Exception):
    """What was received is no frame."""


class Frames(asyncio.Protocol):
    """One end of a stream of frames. Subclasses receive them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._leaving: list[bytes] = []

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
