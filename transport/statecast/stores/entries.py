"""Entries of the log as a store keeps them: a kind and bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast_agents.chunks import Chunk

from .log import Kind

__all__ = ["read_entry", "write_entry"]

_encode: Final = msgspec.json.Encoder().encode
_chunk: Final = msgspec.json.Decoder(tuple[str, Chunk])


class _StoredRun(RunState, frozen=True, omit_defaults=True):
    """A run as it is stored with the time of its entry."""

    at: int = 0


_run: Final = msgspec.json.Decoder(_StoredRun)


def write_entry(entry: Entry) -> tuple[Kind, bytes]:
    """Return an entry's kind and its bytes; operations are bytes already."""
    if type(entry) is OperationsEntry:
        return "operations", entry.operations
    if type(entry) is ChunkEntry:
        return "chunk", _encode((entry.run_id, entry.chunk))
    assert isinstance(entry, RunEntry)
    run = entry.run
    return "run", _encode(_StoredRun(run.id, run.status, run.error, run.asks, entry.at))


def read_entry(revision: int, kind: Kind, data: bytes) -> Entry:
    """Return the entry that `write_entry` wrote."""
    if kind == "operations":
        return OperationsEntry(revision, data)
    if kind == "chunk":
        run_id, chunk = _chunk.decode(data)
        return ChunkEntry(revision, run_id, chunk)
    run = _run.decode(data)
    return RunEntry(revision, RunState(run.id, run.status, run.error, run.asks), run.at)
