"""What the encoders of message protocols have in common: a projection in, their own frames out.

To add one, subclass `Projected`, write `write` and `finish`, and name it where its requests are read.
Source: docs/guides/add-a-protocol.md, "The encoder".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from statecast_agents import chunks

from .entries import Entry, OperationsEntry, RunError
from .growth import Event, RunTurned
from .projection import Projection

__all__ = ["Projected"]


class Projected(ABC):
    """Writes what a projection reads.

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
        self.usage: chunks.Usage | None = None  #: of the whole answer, as far as the agent has told it
        self.step_usage: chunks.Usage | None = None  #: of the step that ended last
        self.reason: chunks.FinishReason | None = None  #: as the agent gave it
        self.turned: RunTurned | None = None  #: what was said of the run last
        #: what stands before and after the JSON string by which the part that grew last grows again
        self.head = b""
        self.tail = b""
        self._delta = projection.delta
        self.looks = type(self).grown is not Projected.grown  #: whether `grown` is asked

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return what the client has not seen of a state."""
        return self.written(self.projection.snapshot(state, rest))

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of an entry."""
        if type(entry) is OperationsEntry:
            piece = self._delta(entry)
            if piece is not None:
                return self.head + (self.grown(piece) if self.looks else piece) + self.tail
        return self.written(self.projection.read(entry))

    def grown(self, piece: bytes) -> bytes:
        """Return the JSON string by which the part that grew last grew again; for those that keep it."""
        return piece

    @abstractmethod
    def write(self, event: Event) -> bytes:
        """Return what an event is in this protocol; `b""` if it has no form there."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return how the run ended, and what marks the end of a stream that was not cut off."""

    def closed(self) -> bytes:
        """Return the ends of the parts that are open; for `finish`."""
        return self.written(self.projection.close())

    @property
    def error(self) -> RunError | None:
        """Why the run failed, as far as it has turned; None if it has not."""
        return None if self.turned is None else self.turned.run.error

    @property
    def cut(self) -> bool:
        """Whether the stream is to end as a lost connection does: nothing else would tell its client of a failure."""
        return False

    @property
    def finish_reason(self) -> chunks.FinishReason:
        """Why the message ends here, after its run has turned."""
        run = None if self.turned is None else self.turned.run
        if run is not None and run.error is not None:
            return "error"
        if run is not None and run.status in ("cancelled", "interrupted"):
            return "other"
        return "tool-calls" if self.projection.open_calls else self.reason or "stop"

    def written(self, events: Sequence[Event]) -> bytes:
        """Return the frames of events."""
        return b"".join([self._note(event) for event in events])

    def _note(self, event: Event) -> bytes:
        if isinstance(event, chunks.StepFinished):
            before = self.usage or chunks.Usage()
            self.step_usage, self.reason = event.usage, event.finish_reason
            self.usage = chunks.Usage(
                input_tokens=before.input_tokens + event.usage.input_tokens,
                output_tokens=before.output_tokens + event.usage.output_tokens,
            )
        elif isinstance(event, chunks.MessageFinished):
            self.usage, self.reason = event.usage, event.finish_reason
        elif isinstance(event, RunTurned):
            self.turned = event
        return self.write(event)
