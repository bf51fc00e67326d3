"""The encoder of a thread's events across its runs, for server-sent events and WebSockets.

One frame is one JSON object: a `snapshot`, an `update-state`, a `run`, or a message part's chunk. Every
frame names the cursor after it, so a reader that was cut off continues there. A snapshot also carries what the state
does not have: the latest run, and the parts that it has emitted so far. Parts are numbered by their run, not by the
stream, so that a frame says the same to a reader that joined late, or continued from a cursor. A `queued` frame shows
what waits behind the run, which is in no log: it repeats the cursor, and a stream begins as if nothing waited.
Source: docs/protocol/thread-events.md, "GET /threads/{id}/events".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.assistant_transport.events import fields_of
from statecast.protocol.entries import ChunkEntry, Cursor, Entry, OperationsEntry, RunEntry, RunError, RunState
from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT
from statecast_agents import chunks

__all__ = ["EventsEncoder", "Framing", "framed_as_event", "framed_as_line"]

Framing = Callable[[Cursor, bytes], bytes]

_encode: Final = msgspec.json.Encoder().encode


def framed_as_event(cursor: Cursor, frame: bytes) -> bytes:
    """Frame an event as an unnamed server-sent event with the cursor as its id."""
    return b"id: %b\ndata: %b\n\n" % (str(cursor).encode(), frame)


def framed_as_line(cursor: Cursor, frame: bytes) -> bytes:
    """Frame an event as a line of a WebSocket message, with the cursor as a field."""
    return b'{"cursor":"%b",%b\n' % (str(cursor).encode(), frame[1:])


class EventsEncoder:
    """Write entries as thread events.

    Args:
        epoch: Of the thread's log.
        framing: How a frame and its cursor go on the wire.
        heartbeat: What an idle stream sends.
    """

    name = "events"
    headers = EVENT_STREAM
    replays_parts = True

    def __init__(self, epoch: str, framing: Framing = framed_as_event, *, heartbeat: bytes = HEARTBEAT) -> None:
        self.heartbeat = heartbeat
        self.shared: Framing | None = framing
        self.epoch = epoch  #: may become another one, if a snapshot comes next
        self._framing = framing

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return one frame that replaces everything the client has."""
        run: RunState | None = None
        parts: list[Any] = []
        begun: set[int | None] = {None}
        for entry in rest:
            if isinstance(entry, RunEntry):
                if run is None or run.id != entry.run.id:
                    parts, begun = [], {None}
                run = entry.run
            elif isinstance(entry, ChunkEntry) and run is not None and run.id == entry.run_id:
                number: int | None = getattr(entry.chunk, "part", None)
                if isinstance(entry.chunk, chunks.PartStarted):
                    begun.add(number)
                if number in begun:  # a crash may have left the end of a part alone
                    parts.append({**fields_of(entry.chunk), "runId": entry.run_id})
        more: dict[str, Any] = {} if run is None else {"run": run}
        if parts:
            more["parts"] = parts
        frame = _encode({"type": "snapshot", "revision": revision, "state": msgspec.Raw(state), **more})
        return self._framed(revision, frame)

    def encode(self, entry: Entry) -> bytes:
        """Return one frame, or nothing."""
        if type(entry) is OperationsEntry:
            frame = b'{"type":"update-state","revision":%d,"operations":%b}' % (entry.revision, entry.operations)
            return self._framed(entry.revision, frame)
        if type(entry) is RunEntry:
            at = {"at": entry.at} if entry.at else {}
            frame = _encode({"type": "run", "revision": entry.revision, **at, "run": entry.run})
            return self._framed(entry.revision, frame)
        assert type(entry) is ChunkEntry
        fields = {**fields_of(entry.chunk), "revision": entry.revision, "runId": entry.run_id}
        return self._framed(entry.revision, _encode(fields))

    def queued(self, revision: int, batches: bytes) -> bytes:
        """Return one frame with the queued batches, a JSON array."""
        return self._framed(revision, b'{"type":"queued","revision":%d,"queued":%b}' % (revision, batches))

    def finish(self) -> bytes:
        """Return nothing: these streams end only when a side closes them."""
        return b""

    def expire(self, error: RunError) -> bytes:
        """Return a named event with the reason; a frame would carry a cursor."""
        return b"event: end\ndata: %b\n\n" % _encode(error) if self._framing is framed_as_event else b""

    def _framed(self, revision: int, frame: bytes) -> bytes:
        return self._framing(Cursor(self.epoch, revision), frame)
