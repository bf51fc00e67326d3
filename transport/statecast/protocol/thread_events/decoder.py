"""The decoder of a history: the frames that `EventsEncoder` wrote of it, as entries again.

The frames may be anybody's: each error is one of the request that brought them.
Source: docs/protocol/thread-requests.md, "POST /threads/import".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.entries import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast.protocol.errors import InvalidRequest
from statecast.protocol.json_checks import decode
from statecast_agents.chunks import Chunk

__all__ = ["Snapshot", "read_history"]

#: The last revision that JavaScript counts to, with as many again to go on with.
MOST: Final = 2**52


class Snapshot(msgspec.Struct, frozen=True):
    """What a thread was where its history begins."""

    revision: int
    state: msgspec.Raw
    run: RunState | None = None


class _Frame(msgspec.Struct, frozen=True):
    type: str
    revision: int


class _Operations(msgspec.Struct, frozen=True):
    operations: msgspec.Raw


class _Run(msgspec.Struct, frozen=True):
    run: RunState
    at: int = 0


def read_history(frames: Sequence[msgspec.Raw]) -> tuple[Snapshot, list[Entry]]:
    """Return where a history begins, and the entries that follow.

    Args:
        frames: A snapshot, and a frame for each entry after it, in order and without a gap.

    Raises:
        RequestError: `invalid_request`.
    """
    kind: _Frame = _read(frames[0], _Frame)
    if kind.type != "snapshot" or not 0 <= kind.revision <= MOST:
        raise InvalidRequest(
            f'expected a history that begins with a snapshot, got "{kind.type[:80]}" at {kind.revision}'
        )
    snapshot: Snapshot = _read(frames[0], Snapshot)
    entries: list[Entry] = []
    parts: dict[str, int] = {}
    for at, frame in enumerate(frames[1:], snapshot.revision + 1):
        kind = _read(frame, _Frame)
        if kind.revision != at:
            raise InvalidRequest(f"expected a history without a gap, got revision {kind.revision} instead of {at}")
        entries.append(_entry(kind, frame, parts))
    return snapshot, entries


def _entry(kind: _Frame, frame: msgspec.Raw, parts: dict[str, int]) -> Entry:
    if kind.type == "update-state":
        changed: _Operations = _read(frame, _Operations)
        return OperationsEntry(kind.revision, bytes(changed.operations))
    if kind.type == "run":
        turned: _Run = _read(frame, _Run)
        return RunEntry(kind.revision, turned.run, turned.at)
    return _chunk(kind, _read(frame, dict[str, Any]), parts)


def _chunk(kind: _Frame, fields: dict[str, Any], parts: dict[str, int]) -> ChunkEntry:
    """Return the entry of a chunk's frame, see `fields_of`.

    Args:
        kind: Its type and revision.
        fields: All of it; they change.
        parts: The highest number of a part that each run has opened so far, as far as the history tells.
    """
    run_id, path = fields.pop("runId", None), fields.pop("path", None)
    if not isinstance(run_id, str) or not isinstance(path, list):
        raise InvalidRequest(f'expected frames of a history, got one of the type "{kind.type[:80]}"')
    if kind.type == "part-start":
        parts[run_id] = parts.get(run_id, -1) + 1
        fields |= {"init": fields.get("part"), "part": parts[run_id]}
    elif kind.type in ("text-delta", "error"):
        fields["text"] = fields.get("textDelta" if kind.type == "text-delta" else "error")
    if path:
        fields["part"] = path[0]
    try:
        chunk: Chunk = msgspec.convert(fields, Chunk)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"expected frames of a history: {error}") from None
    if path and isinstance(path[0], int):
        parts[run_id] = max(parts.get(run_id, -1), path[0])
    return ChunkEntry(kind.revision, run_id, chunk)


def _read(frame: msgspec.Raw, type: Any) -> Any:  # as in msgspec
    try:
        return decode(frame, type)
    except InvalidRequest as error:
        raise InvalidRequest(f"expected frames of a history: {error}") from None
