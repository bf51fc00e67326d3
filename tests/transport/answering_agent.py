"""An agent that answers as it is told, and what became of its answer as the log has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from statecast.protocol.entries import ChunkEntry, Entry, OperationsEntry, RunEntry, RunError, RunState
from statecast.protocol.messages.projection import Projection
from statecast_agents import Document, Messages, Parts, Run

__all__ = ["RUN", "Answering", "projection"]

RUN = "run_1"


class Answering:
    """A run whose entries are kept: its state may be changed, and parts be emitted, in any order.

    Args:
        messages: What the state has of messages before it.
    """

    def __init__(self, messages: Iterable[Any] = ()) -> None:
        self.document = Document({"messages": list(messages)})
        self.document.flush()
        self.base = self.document.plain()
        self.entries: list[Entry] = []
        self.run = Run(id=RUN, thread_id="t", document=self.document, emit=self._emit, flush=self.flush)
        self.turn("running")

    @property
    def messages(self) -> Messages:
        """The messages."""
        return self.run.messages

    @property
    def parts(self) -> Parts:
        """What is emitted outside the state."""
        return self.run.parts

    def flush(self) -> None:
        """End a turn of the event loop: what was changed in it is one entry."""
        changes = self.document.flush()
        if changes.operations:
            revision = len(self.entries) + 1
            self.entries.append(OperationsEntry(revision, changes.operations, changes.grew_at, changes.delta))

    def turn(self, status: Any, error: RunError | None = None) -> None:
        """Say what became of the run."""
        self.run.parts.close()
        self.flush()
        self.entries.append(RunEntry(len(self.entries) + 1, RunState(RUN, status, error)))

    def each(self, *steps: Callable[[], object]) -> None:
        """Take steps, each in a turn of its own."""
        for step in steps:
            step()
            self.flush()

    def _emit(self, chunk: Any) -> None:
        self.flush()
        self.entries.append(ChunkEntry(len(self.entries) + 1, RUN, chunk))


def projection(answering: Answering, **options: Any) -> Projection:
    """Return the projection of its stream."""
    return Projection(("messages",), run_id=RUN, base=answering.base, **options)
