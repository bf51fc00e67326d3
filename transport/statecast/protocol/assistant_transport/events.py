"""The assistant-transport protocol: server-sent events, one chunk each, ended by `[DONE]`.

The k-th `part-start` of a stream opens part k, and later chunks address it by `path: [k]`; so numbers are the
stream's own, not the run's. Events are never named: strict clients throw at a name.
Source: docs/protocol/assistant-transport.md, "assistant-transport".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.entries import ChunkEntry, Entry, OperationsEntry, RunEntry, RunError
from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, event_frame, typed_event
from statecast_agents import chunks

__all__ = ["AssistantTransportEncoder", "ChunkFields", "decode", "fields_of"]

WithinPart: Final = chunks.TextDelta | chunks.ArgsFinished | chunks.ToolResult | chunks.PartFinished


class AssistantTransportEncoder:
    """Write entries as assistant-transport events.

    Args:
        run_id: The run whose failure is the stream's; None: no run's.
    """

    name = "assistant-transport"
    headers = EVENT_STREAM
    replays_parts = False
    shared = name
    heartbeat = HEARTBEAT

    def __init__(self, run_id: str | None = None) -> None:
        self._run_id = run_id
        self._chunks = ChunkFields()

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return a `set` at the empty path, then the rest."""
        operation = b'{"type":"set","path":[],"value":%b}' % state
        first = b'data: {"type":"update-state","path":[],"operations":[%b]}\n\n' % operation
        return first + b"".join(map(self.encode, rest))

    def encode(self, entry: Entry) -> bytes:
        """Return one event, or nothing."""
        if type(entry) is OperationsEntry:
            return b'data: {"type":"update-state","path":[],"operations":%b}\n\n' % entry.operations
        if type(entry) is ChunkEntry:
            fields = self._chunks.of(entry.run_id, entry.chunk)
            return b"" if fields is None else event_frame(fields)
        if type(entry) is RunEntry and entry.run.id == self._run_id and entry.run.error is not None:
            return _failure(entry.run.error)
        return b""

    def finish(self) -> bytes:
        """Return the end marker, without which the client reports an error."""
        return b"data: [DONE]\n\n"

    def expire(self, error: RunError) -> bytes:
        """Return an error with the reason, and the end marker."""
        return _failure(error) + self.finish()


def _failure(error: RunError) -> bytes:
    return typed_event("error", path=[], error=error.message, code=error.code)


class ChunkFields:
    """Number the parts of a stream, and return chunks' fields in this protocol."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], int] = {}

    def of(self, run_id: str, chunk: chunks.Chunk) -> dict[str, Any] | None:
        """Return a chunk's fields; None if the stream did not see its part begin."""
        if isinstance(chunk, chunks.PartStarted):
            self._parts[run_id, chunk.part] = len(self._parts)
            return fields_of(chunk)
        if isinstance(chunk, WithinPart):
            number = self._parts.get((run_id, chunk.part))
            return None if number is None else {**fields_of(chunk), "path": [number]}
        return fields_of(chunk)


def fields_of(chunk: chunks.Chunk) -> dict[str, Any]:
    """Return a chunk's fields, with the run's part numbers."""
    if isinstance(chunk, chunks.PartStarted):
        return {"type": "part-start", "part": chunk.init, "path": []}
    if isinstance(chunk, WithinPart):
        return {**_part_fields(chunk), "path": [chunk.part]}
    if isinstance(chunk, chunks.Failure):
        fields = {"type": "error", "error": chunk.text, "code": chunk.code, "severity": chunk.severity}
        return _present({**fields, "path": []})
    return {**msgspec.to_builtins(chunk), "path": []}


def _part_fields(
    chunk: chunks.TextDelta | chunks.ArgsFinished | chunks.ToolResult | chunks.PartFinished,
) -> dict[str, Any]:
    if isinstance(chunk, chunks.TextDelta):
        return {"type": "text-delta", "textDelta": chunk.text}
    if isinstance(chunk, chunks.ArgsFinished):
        return {"type": "tool-call-args-text-finish"}
    if isinstance(chunk, chunks.PartFinished):
        return {"type": "part-finish"}
    fields = {"artifact": chunk.artifact, "modelContent": chunk.model_content, "messages": chunk.messages}
    return _present({"type": "result", "result": chunk.result, "isError": chunk.is_error, **fields})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not msgspec.UNSET}


def decode(data: bytes) -> tuple[list[dict[str, Any]], bool]:
    """Read a whole response: its chunks, and whether it ended with the marker.

    Raises:
        msgspec.DecodeError: An event is not JSON.
    """
    found: list[dict[str, Any]] = []
    for event in data.split(b"\n\n"):
        lines = [line[5:].lstrip(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        if lines == [b"[DONE]"]:
            return found, True
        if lines:
            found.append(msgspec.json.decode(b"\n".join(lines)))
    return found, False
