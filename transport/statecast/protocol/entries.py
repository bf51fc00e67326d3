"""Entries: the numbered lines of a thread's log, and the cursor that names a place in it.

Every protocol reads the same entries. Operations are JSON already, encoded once when they were appended; a protocol
wraps those bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Protocol

import msgspec

from statecast_agents.chunks import Chunk, TextDelta

__all__ = ["ChunkEntry", "Cursor", "Encoder", "Entry", "OperationsEntry", "RunEntry", "RunError", "RunState", "Status"]

#: Bytes that an entry takes beside its operations, about.
ENTRY: Final = 160

Status = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "interrupted"]

#: A run in one of these is over.
ENDED: Final = frozenset({"completed", "failed", "cancelled", "interrupted"})


class RunError(msgspec.Struct, frozen=True):
    """Why a run failed: a stable code, and a text that the user may read."""

    code: str
    message: str


class RunState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a run, as clients see it."""

    id: str
    status: Status
    error: RunError | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in ENDED


class OperationsEntry(msgspec.Struct, frozen=True, gc=False):
    """What the mutations of one turn amount to: a JSON array of operations."""

    revision: int
    operations: bytes
    grew_at: bytes | None = None  #: see `Changes.grew_at`; None as well where it is not known, as of what was stored
    delta: bytes = b""  #: by what the text grew, as a JSON string


class _Other(msgspec.Struct, frozen=True):
    """An entry that is no operations: no text of the state grew."""

    grew_at: ClassVar[None] = None
    delta: ClassVar[bytes] = b""


class ChunkEntry(_Other, frozen=True):
    """A message part, or a piece of one, that a run emitted outside the state."""

    revision: int
    run_id: str
    chunk: Chunk


class RunEntry(_Other, frozen=True):
    """A run started, waits, or ended."""

    revision: int
    run: RunState


Entry = OperationsEntry | ChunkEntry | RunEntry


def size_of(entry: Entry) -> int:
    """Return about how many bytes an entry takes."""
    if type(entry) is OperationsEntry:
        return len(entry.operations) + len(entry.delta) + ENTRY
    if type(entry) is ChunkEntry and isinstance(entry.chunk, TextDelta):
        return len(entry.chunk.text) + 2 * ENTRY
    return 2 * ENTRY


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A place in a thread's log: after entry `revision` of `epoch`. Opaque to clients: `<epoch>-<revision>`."""

    epoch: str
    revision: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read what `str` wrote; None for anything else."""
        epoch, dash, revision = text.rpartition("-")
        if not dash or not epoch or not (revision.isascii() and revision.isdigit()) or len(revision) > 18:
            return None
        return cls(epoch, int(revision))


class Encoder(Protocol):
    """One wire protocol, for one stream: entries in, bytes out. It keeps what the stream has said, and nothing else.

    To add a protocol, write one of these in a file of its own and name it in `protocol/__init__.py`.
    """

    @property
    def name(self) -> str:
        """What `?protocol=` calls it."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The response's headers, with names in lower case."""

    @property
    def heartbeat(self) -> bytes:
        """What an idle stream sends, and its client ignores."""

    @property
    def replays_parts(self) -> bool:
        """Whether a snapshot also starts the message parts of the latest run anew."""

    @property
    def shared(self) -> object:
        """The same for encoders that make the same bytes of operations, on one thread; None where no other does."""

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry]) -> bytes:
        """Return what replaces the client's state by `state`, which is JSON, as of `revision`.

        `rest` are the entries up to there that a state does not stand for: message parts, and what became of runs.
        """

    def encode(self, entry: Entry) -> bytes:
        """Return what `entry` is in this protocol; `b""` if it has no form there."""

    def finish(self) -> bytes:
        """Return what marks the end of a stream that was not cut off."""

    def expire(self, error: RunError) -> bytes:
        """Return how a stream ends before its run does, and why: its client may not go on without asking again."""
