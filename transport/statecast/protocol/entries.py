"""Entries: the numbered lines of a thread's log, and the cursor that names a position in it.

Every protocol reads the same entries. Operations are encoded to JSON once, when they are appended; each protocol wraps
those bytes.
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
    """Why a run failed: a stable code, and a message that users may read."""

    code: str
    message: str


class RunState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run's id and status, as clients see it."""

    id: str
    status: Status
    error: RunError | None = None
    asks: bool = False  #: whether it has ended, and left questions that the thread waits for: its status is `waiting`

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.asks or self.status in ENDED


class OperationsEntry(msgspec.Struct, frozen=True, gc=False):
    """The operations of one turn of the event loop, as a JSON array."""

    revision: int
    operations: bytes
    grew_at: bytes | None = None  #: see `Changes.grew_at`; None as well where it is not known, as of what was stored
    delta: bytes = b""  #: by what the text grew, as a JSON string


class _Other(msgspec.Struct, frozen=True):
    """The base of entries without operations."""

    grew_at: ClassVar[None] = None
    delta: ClassVar[bytes] = b""


class ChunkEntry(_Other, frozen=True):
    """A message part, or a piece of one, that a run emitted outside the state."""

    revision: int
    run_id: str
    chunk: Chunk


class RunEntry(_Other, frozen=True):
    """A change of a run's status."""

    revision: int
    run: RunState
    at: int = 0  #: when, in milliseconds since 1970; 0 where it is not known, as of entries of earlier versions


Entry = OperationsEntry | ChunkEntry | RunEntry


def size_of(entry: Entry) -> int:
    """Return an entry's approximate size in bytes."""
    if type(entry) is OperationsEntry:
        return len(entry.operations) + len(entry.delta) + ENTRY
    if type(entry) is ChunkEntry and isinstance(entry.chunk, TextDelta):
        return len(entry.chunk.text) + 2 * ENTRY
    return 2 * ENTRY


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A position in a thread's log, after entry `revision` of `epoch`: `<epoch>-<revision>`, opaque to clients."""

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
    """One protocol's encoder for one stream: entries in, bytes out. It only remembers what the stream has sent.

    To add a protocol, write one of these in a file of its own and name it in `protocol/__init__.py`.
    """

    @property
    def name(self) -> str:
        """The name for `?protocol=`."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The response's headers, with names in lower case."""

    @property
    def heartbeat(self) -> bytes:
        """The bytes that an idle stream sends; clients ignore them."""

    @property
    def replays_parts(self) -> bool:
        """Whether a snapshot also restarts the message parts of the latest run."""

    @property
    def shared(self) -> object:
        """A key shared by encoders that write the same bytes for a thread's operations; None: never shared."""

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry]) -> bytes:
        """Return the frames that replace the client's state with `state`, which is JSON, as of `revision`.

        `rest` are the entries up to there that a state does not include: message parts, and changes of runs.
        """

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of an entry; `b""` if this protocol has none for it."""

    def finish(self) -> bytes:
        """Return the protocol's end marker."""

    def expire(self, error: RunError) -> bytes:
        """Return the frames that end a stream before its run does, with the reason: the client must ask again."""
