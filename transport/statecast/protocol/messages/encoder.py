"""The base class of message protocols' encoders: it reads a projection, and a subclass writes the frames.

To add one, subclass `MessageEncoder`, write `write` and `finish`, and return it from the `encoder` of a `Wire`.
Source: docs/guides/add-a-protocol.md, "Encoders".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.protocol.entries import Entry, RunError, RunState
from statecast_agents import chunks
from statecast_agents.metadata import Report

from .approvals import ApprovalCalls
from .part_events import Event, RunTurned
from .projection import Projection

__all__ = ["MessageEncoder"]

_encode: Final = msgspec.json.Encoder().encode
_string: Final = msgspec.json.Decoder(str)


class MessageEncoder(ABC):
    """Write the events of a projection as frames of one protocol.

    Args:
        projection: Of the stream.
    """

    name: str
    headers: tuple[tuple[bytes, bytes], ...]
    heartbeat: bytes
    replays_parts = False
    shared = None

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.step_usage: chunks.Usage | None = None  #: of the step that ended last
        self._emitted_usage: chunks.Usage | None = None  #: of the whole answer, as far as the agent emitted it
        self._emitted_reason: chunks.FinishReason | None = None  #: why the answer ends, as the agent emitted it
        self._approvals = ApprovalCalls(projection)
        self.turned: RunTurned | None = None  #: the last status of the run
        #: the frame by which the part that grew last grows again, with `%b` for its JSON string; None: `grown` is asked
        self.frame: bytes | None = None
        self._part = 0  #: the number of that part

    def begin(self) -> bytes:
        """Return what the stream begins with, before anything of the thread."""
        return b""

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return the frames for the part of a state that the client has not seen."""
        return self.written(self.projection.snapshot(state, rest))

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of an entry."""
        projection = self.projection
        if entry.grew_at is projection.grows_at:  # as nearly every entry: it is passed on without a look at it
            piece = entry.delta
            projection.strings += piece
            frame = self.frame
            return self.grown(piece) if frame is None else frame % piece
        return self.written(projection.read(entry))

    def grown(self, piece: bytes) -> bytes:
        """Return the frames of a JSON string by which the part that grew last grew again, where there is no `frame`."""
        return self.write(chunks.TextDelta(part=self._part, text=_string.decode(piece)))

    def grows(self, head: bytes, text: str, tail: bytes) -> bytes:
        """Return the frame of a text that grows; for what the part grows by next, `write` is not asked."""
        self.frame = b"%b%%b%b" % (head.replace(b"%", b"%%"), tail.replace(b"%", b"%%"))
        return self.frame % _encode(text)

    @abstractmethod
    def write(self, event: Event) -> bytes:
        """Return the frames of an event; `b""` if this protocol has none for it."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return the last frames: how the run ended, and the protocol's end marker."""

    def expire(self, error: RunError) -> bytes:
        """Return the end of a stream that ends before its run does, as if that had failed."""
        self.turned = RunTurned(RunState("", "failed", error))
        return self.finish()

    def closed(self) -> bytes:
        """Return the frames that close the open parts; `finish` begins with them."""
        return self.written(self.projection.close())

    @property
    def error(self) -> RunError | None:
        """The error that the run failed with; None if it has not failed."""
        return None if self.turned is None else self.turned.run.error

    @property
    def cut(self) -> bool:
        """Whether to cut the connection at the end, because the protocol has no other way to report a failure."""
        return False

    @property
    def report(self) -> Report:
        """What the agent says of its model calls: what it emitted, else what the metadata of its messages say."""
        report = self.projection.report
        usage, reason = self._emitted_usage or report.usage, self._emitted_reason or report.finish_reason
        return msgspec.structs.replace(report, usage=usage, finish_reason=reason)

    @property
    def usage(self) -> chunks.Usage | None:
        """The tokens of the whole answer; None if the agent has not reported any."""
        return self.report.usage

    @property
    def finish_reason(self) -> chunks.FinishReason:
        """Why the message ends, once the run has ended or waits."""
        run = None if self.turned is None else self.turned.run
        if run is not None and run.error is not None:
            return "error"
        if run is not None and run.status in ("cancelled", "interrupted"):
            return "other"
        return "tool-calls" if self.projection.open_calls else self.report.finish_reason or "stop"

    def written(self, events: Sequence[Event]) -> bytes:
        """Return the frames of events."""
        around = self._approvals.around
        return b"".join([self._write_recorded(one) for event in events for one in around(event)])

    def _write_recorded(self, event: Event) -> bytes:
        if isinstance(event, chunks.TextDelta):
            self.frame, self._part = None, event.part
        elif isinstance(event, chunks.StepFinished):
            self.step_usage, self._emitted_reason = event.usage, event.finish_reason
            self._emitted_usage = (self._emitted_usage or chunks.Usage()) + event.usage
        elif isinstance(event, chunks.MessageFinished):
            self._emitted_usage, self._emitted_reason = event.usage, event.finish_reason
        elif isinstance(event, RunTurned):
            self.turned = event
        return self.write(event)
