"""The data-stream protocol: lines of `code:json`, the clients' default.

It has no end marker, so a failure must be said (`3:`); and no part numbers: text and reasoning grow whatever part is
last, tool calls are named by their id. Blank lines are ignored, which makes them the heartbeat.
Source: docs/protocol/assistant-transport.md, "data-stream".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

import msgspec

from statecast.protocol.entries import ChunkEntry, Entry, OperationsEntry, RunEntry, RunError
from statecast.protocol.event_stream import STREAMED
from statecast_agents import chunks

__all__ = ["DataStreamEncoder", "DataStreamLines", "decode"]

_encode: Final = msgspec.json.Encoder().encode


class DataStreamEncoder:
    """Write entries as data-stream lines.

    Args:
        run_id: The run whose failure is the stream's; None: no run's.
    """

    name = "data-stream"
    headers = (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-vercel-ai-data-stream", b"v1"),
        *STREAMED,
    )
    replays_parts = False
    shared = name
    heartbeat = b"\n"

    def __init__(self, run_id: str | None = None) -> None:
        self._run_id = run_id
        self._lines = DataStreamLines()

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return a `set` at the empty path, then the rest."""
        first = b'aui-state:[{"type":"set","path":[],"value":%b}]\n' % state
        return first + b"".join(map(self.encode, rest))

    def encode(self, entry: Entry) -> bytes:
        """Return one line, or nothing."""
        if type(entry) is OperationsEntry:
            return b"aui-state:%b\n" % entry.operations
        if type(entry) is ChunkEntry:
            return self._lines.of(entry.run_id, entry.chunk) or b""
        if type(entry) is RunEntry and entry.run.id == self._run_id and entry.run.error is not None:
            return self._lines.write("3", entry.run.error.message)
        return b""

    def finish(self) -> bytes:
        """Return nothing: the protocol has no end marker."""
        return b""

    def expire(self, error: RunError) -> bytes:
        """Return an error line with the reason."""
        return self._lines.write("3", error.message)


class DataStreamLines:
    """Write chunks as lines; the protocol has no part numbers, so a chunk's line depends on its part's type."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], chunks.Part] = {}
        self._with_args: set[tuple[str, int]] = set()

    def of(self, run_id: str, chunk: chunks.Chunk) -> bytes | None:
        """Return a chunk's line; None if it has none, or the stream did not see its part begin."""
        line = self._line(run_id, chunk)
        return None if line is None else self.write(*line)

    def write(self, code: str, value: Any) -> bytes:
        """Return a line."""
        return b"%b:%b\n" % (code.encode(), _encode(value))

    def _line(self, run_id: str, chunk: chunks.Chunk) -> tuple[str, Any] | None:
        match chunk:
            case chunks.PartStarted():
                self._parts[run_id, chunk.part] = chunk.init
                return _start(chunk.init)
            case chunks.TextDelta() | chunks.ArgsFinished() | chunks.ToolResult() | chunks.PartFinished():
                part = self._parts.get((run_id, chunk.part))
                return None if part is None else self._within((run_id, chunk.part), part, chunk)
            case chunks.Annotations():
                return "8", chunk.annotations
            case chunks.Data():
                return "2", chunk.data
            case chunks.StepStarted():
                return "f", {"messageId": chunk.message_id}
            case chunks.StepFinished():
                finished = {"finishReason": chunk.finish_reason, "usage": chunk.usage}
                return "e", {**finished, "isContinued": chunk.is_continued}
            case chunks.MessageFinished():
                return "d", {"finishReason": chunk.finish_reason, "usage": chunk.usage}
            case chunks.Failure():
                return "3", chunk.text
            case _:
                assert_never(chunk)

    def _within(
        self,
        key: tuple[str, int],
        part: chunks.Part,
        chunk: chunks.TextDelta | chunks.ArgsFinished | chunks.ToolResult | chunks.PartFinished,
    ) -> tuple[str, Any] | None:
        if isinstance(chunk, chunks.TextDelta):
            if isinstance(part, chunks.ToolCallPart):
                self._with_args.add(key)
            return _delta(part, chunk.text)
        if not isinstance(part, chunks.ToolCallPart):
            return None
        call = {"toolCallId": part.tool_call_id}
        if isinstance(chunk, chunks.ArgsFinished):
            # Older decoders settle on what they have at the final delta, so one without arguments carries the empty
            # object itself.
            return "c", {**call, "argsTextDelta": "" if key in self._with_args else "{}", "isFinal": True}
        if isinstance(chunk, chunks.ToolResult):
            more = {"artifact": chunk.artifact, "modelContent": chunk.model_content, "messages": chunk.messages}
            result = {**call, "result": chunk.result}
            result |= {name: value for name, value in more.items() if value is not msgspec.UNSET}
            return "a", {**result, "isError": True} if chunk.is_error else result
        return None


def _start(part: chunks.Part) -> tuple[str, Any] | None:
    match part:
        case chunks.TextPart():
            return None
        case chunks.ReasoningPart():
            return None if part.unstable_summary is msgspec.UNSET else ("aui-reasoning-part-start", _untagged(part))
        case chunks.ToolCallPart():
            return "b", _untagged(part)
        case chunks.SourcePart():
            return "h", _untagged(part)
        case chunks.FilePart():
            return "k", _untagged(part)
        case chunks.DataPart():
            return "aui-data", _untagged(part)
        case _:
            assert_never(part)


def _delta(part: chunks.Part, text: str) -> tuple[str, Any]:
    if isinstance(part, chunks.ToolCallPart):
        return "c", {"toolCallId": part.tool_call_id, "argsTextDelta": text}
    if isinstance(part, chunks.ReasoningPart):
        if part.parent_id is msgspec.UNSET:
            return "g", text
        return "aui-reasoning-delta", {"reasoningDelta": text, "parentId": part.parent_id}
    if part.parent_id is msgspec.UNSET:
        return "0", text
    return "aui-text-delta", {"textDelta": text, "parentId": part.parent_id}


def _untagged(part: chunks.Part) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(part)
    del fields["type"]
    return fields


def decode(data: bytes) -> list[tuple[str, Any]]:
    """Read a whole response as `(code, value)` pairs.

    Raises:
        msgspec.DecodeError: A line's value is not JSON.
    """
    pairs = (line.partition(b":") for line in data.split(b"\n") if line.strip())
    return [(code.decode(), msgspec.json.decode(value)) for code, _, value in pairs]
