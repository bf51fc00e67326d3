"""The encoder of a thread's events as RFC 6902 patches, which are held back because each repeats a grown text whole.

Held changes are released when the reader asks for them, or before the next frame of another kind. Source:
docs/protocol/thread-events.md, "GET /threads/{id}/events".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.protocol.entries import Entry, OperationsEntry
from statecast.protocol.event_stream import HEARTBEAT
from statecast.protocol.state_deltas import StateDeltas
from statecast_agents import operations

from .encoder import EventsEncoder, Framing, framed_as_event

__all__ = ["PatchEventsEncoder"]

_encode: Final = msgspec.json.Encoder().encode


class PatchEventsEncoder(EventsEncoder):
    """Write entries as thread events, with changes as patches that are held back until `release`.

    Args:
        epoch: Of the thread's log.
        framing: How a frame and its cursor go on the wire.
        heartbeat: What an idle stream sends.
    """

    def __init__(self, epoch: str, framing: Framing = framed_as_event, *, heartbeat: bytes = HEARTBEAT) -> None:
        super().__init__(epoch, framing, heartbeat=heartbeat)
        self.shared = None  # what one reader has gathered is not what another has
        self._deltas = StateDeltas(None)
        self._revision = 0  #: of what is held

    @property
    def held(self) -> bool:
        """Whether there are changes that were not written yet."""
        return self._deltas.held

    def release(self) -> bytes:
        """Return the held changes as one frame."""
        if not self._deltas.held:
            return b""
        frame = {"type": "patch", "revision": self._revision, "patch": self._deltas.release()}
        return self._framed(self._revision, _encode(frame))

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return one frame that replaces everything the client has."""
        self._deltas.replace(msgspec.json.decode(state))
        return super().snapshot(state, revision, rest)

    def encode(self, entry: Entry) -> bytes:
        """Return one frame, after any held changes; or hold a change and return nothing."""
        if type(entry) is OperationsEntry:
            self._deltas.hold(operations.decode(entry.operations))
            self._revision = entry.revision
            return b""
        return self.release() + super().encode(entry)

    def queued(self, revision: int, batches: bytes) -> bytes:
        """Return one frame with the queued batches, a JSON array, after any held changes."""
        return self.release() + super().queued(revision, batches)
