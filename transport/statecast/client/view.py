"""A follower's view of a thread: takes frames, and returns the thread after each. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from statecast.protocol import Cursor, RunState
from statecast_agents import Json, Operation, Set, operations

__all__ = ["Change", "Frame", "Snapshot", "View"]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A thread at a position in its log."""

    cursor: str  #: the place; equal ones mean equal states
    revision: int  #: the same as a number, which grows
    state: Json  #: plain JSON, not to be mutated
    run: RunState | None  #: the run that is active, else the last one


class Change(Snapshot, frozen=True, kw_only=True):
    """A thread after a change, and what changed."""

    operations: Sequence[Operation]  #: that made the state; one `Set` at the empty path where it was replaced
    #: of a message, which the run has emitted outside the state: `{"type": "text", "text"}`, …, as far as they came
    parts: Sequence[Mapping[str, Json]]
    #: that made the parts, as in docs/protocol/assistant-transport.md, "assistant-transport"
    chunks: Sequence[Mapping[str, Json]]


class Frame(msgspec.Struct, rename="camel"):
    """One event of a thread. A message part's chunk has further fields."""

    type: str
    revision: int
    state: Json = None
    operations: list[Operation] = []
    run: RunState | None = None
    parts: list[dict[str, Json]] = []


class View:
    """A follower's view of a thread, frame by frame, and how much of it was shown."""

    def __init__(self, since: Snapshot | None) -> None:
        self.cursor = None if since is None else since.cursor  #: where the next stream goes on; None: at a snapshot
        self._now = since
        self._parts = tuple(since.parts) if isinstance(since, Change) else ()
        self._shown = None if since is None else Cursor.parse(since.cursor)
        self._behind = False  #: whether a snapshot was older than what was shown, as that of a server that lags

    def take(self, cursor: str, data: bytes) -> Change | None:
        """Return the thread after a frame; None if it was shown already.

        Raises:
            DecodeError: It is damaged, or does not follow what came before.
            OperationError: Likewise.
        """
        frame = msgspec.json.decode(data, type=Frame)
        now, chunks, done = self._now, frame.parts, frame.operations
        place, shown = Cursor.parse(cursor), self._shown
        if place is None:
            raise msgspec.DecodeError(f'expected a cursor, got "{cursor}"')
        if shown is not None and place.epoch != shown.epoch:
            shown = None
        state, run = (None, None) if now is None else (now.state, now.run)
        if frame.type == "snapshot":
            state, run, done = frame.state, frame.run, [Set((), frame.state)]
            self._parts = ()
        elif now is None or shown is None or self.cursor is None:
            raise msgspec.DecodeError("expected a snapshot first")
        elif frame.revision <= now.revision:
            return None
        elif frame.type == "run":
            run = frame.run
        elif frame.type == "update-state":
            state = operations.apply(state, done)
        else:
            chunks = [msgspec.json.decode(data)]
        if now is None or run is None or now.run is None or run.id != now.run.id:
            self._parts = ()
        for chunk in chunks:
            self._parts = grown(self._parts, chunk)
        self.cursor = cursor
        self._now = change = Change(
            cursor=cursor,
            revision=frame.revision,
            state=state,
            run=run,
            operations=(Set((), state),) if self._behind else tuple(done),
            parts=self._parts,
            chunks=tuple(chunks),
        )
        if shown is not None and place <= shown:
            self._behind = place < shown
            return None
        self._shown, self._behind = place, False
        return change


def grown(parts: tuple[Mapping[str, Json], ...], chunk: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """Return a run's parts with one more chunk."""
    kind, path = chunk["type"], chunk["path"]
    if kind == "part-start":
        part = chunk["part"]
        text = {"text": "text", "reasoning": "text", "tool-call": "argsText"}.get(part["type"])
        return (*parts, part if text is None else {**part, text: ""})
    if not path or path[0] >= len(parts):
        return parts
    part = dict(parts[path[0]])
    if kind == "text-delta":
        part["argsText" if part["type"] == "tool-call" else "text"] += chunk["textDelta"]
    elif kind == "result":
        part |= {key: value for key, value in chunk.items() if key not in ("type", "path", "revision", "runId")}
    return (*parts[: path[0]], part, *parts[path[0] + 1 :])
