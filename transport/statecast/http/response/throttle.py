"""Throttled readers: they release the changes that an encoder holds back at most so often a second.

A release repeats the texts that have grown, so the longer they are, the less often it comes. After a pause, it comes at
once.

The encoder knows no clock and the log no encoder; so the time is kept here, between a stream and its reader.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, runtime_checkable

from statecast.threads import Reader

__all__ = ["ThrottledEncoder", "ThrottledReader"]

#: Bytes of held changes to release in a second, about.
RATE: Final = 2**21


@runtime_checkable
class ThrottledEncoder(Protocol):
    """An encoder that holds changes back, because more of them may follow at once."""

    @property
    def held(self) -> bool:
        """Whether it holds any."""

    def release(self) -> bytes:
        """Return the frames of the held changes."""


class ThrottledReader:
    """A reader whose encoder holds changes back.

    Args:
        reader: What is read.
        encoder: Of the reader.
        pace: Seconds between two releases, at least.
    """

    def __init__(self, reader: Reader, encoder: ThrottledEncoder, pace: float) -> None:
        self._reader = reader
        self._encoder = encoder
        self._pace = pace
        self._clock = asyncio.get_running_loop().time
        self._due = self._clock()

    @property
    def finished(self) -> bool:
        """Return whether `take` has returned the last of the stream."""
        return self._reader.finished

    def take(self) -> bytes:
        """Return everything that is there to send, in one piece; held changes only if they are due."""
        data = self._reader.take()
        if self._encoder.held and self._clock() >= self._due and not self._reader.finished:
            released = self._encoder.release()
            self._due = self._clock() + max(self._pace, len(released) / RATE)
            data += released
        return data

    async def wait(self) -> None:
        """Wait until `take` may return something. Cancelling the wait loses nothing."""
        if not self._encoder.held:
            await self._reader.wait()
            return
        try:
            async with asyncio.timeout_at(self._due):
                await self._reader.wait()
        except TimeoutError:
            pass
