"""Frames a run's flat chunks as parts: each is opened, grows, may get a result, and is closed."""

from __future__ import annotations

from typing import cast

import msgspec

from statecast_agents import CallStream, Parts
from statecast_agents import chunks as parts

from . import assistant_stream_chunk as chunks
from .assistant_stream_chunk import AssistantStreamChunk

__all__ = ["Framing"]


class Framing:
    """Turns chunks of a run into chunks of parts.

    Arguments and results of a call that the run has not begun, or that has a result, are left out: the decoders of the
    clients would refuse the whole stream.
    """

    def __init__(self) -> None:
        self._made: list[parts.Chunk] = []
        self._parts = Parts(self._made.append)
        self._calls: dict[str, CallStream] = {}  #: those without a result

    def frame(self, chunk: AssistantStreamChunk) -> list[parts.Chunk]:
        """Return what a chunk amounts to; a change of the state has no part."""
        match chunk:
            case chunks.TextDeltaChunk():
                self._parts.append_text(chunk.text_delta, parent_id=chunk.parent_id)
            case chunks.ReasoningDeltaChunk():
                self._parts.append_reasoning(chunk.reasoning_delta, parent_id=chunk.parent_id)
            case chunks.ToolCallBeginChunk() if chunk.tool_call_id not in self._calls:
                call = self._parts.add_tool_call(chunk.tool_name, id=chunk.tool_call_id, parent_id=chunk.parent_id)
                self._calls[chunk.tool_call_id] = call
            case chunks.ToolCallDeltaChunk() if chunk.tool_call_id in self._calls:
                self._calls[chunk.tool_call_id].append_args(chunk.args_text_delta)
            case chunks.ToolResultChunk() if chunk.tool_call_id in self._calls:
                artifact = msgspec.UNSET if chunk.artifact is None else chunk.artifact
                call = self._calls.pop(chunk.tool_call_id)
                call.set_result(chunk.result, is_error=chunk.is_error, artifact=artifact)
            case chunks.SourceChunk():
                self._parts.add_source(chunk.url, title=chunk.title, id=chunk.id, parent_id=chunk.parent_id)
            case chunks.FileChunk():
                self._parts.add_file(chunk.data, chunk.mime_type, parent_id=chunk.parent_id)
            case chunks.DataChunk():
                self._parts.add_data(chunk.data)
            case chunks.AnnotationsChunk():
                self._parts.add_annotations(*chunk.annotations)
            case chunks.ErrorChunk():
                self._parts.add_error(chunk.error)
            case chunks.StepStartChunk():
                self._made.append(parts.StepStarted(message_id=chunk.message_id))
            case chunks.StepFinishChunk():
                usage = parts.Usage(chunk.input_tokens, chunk.output_tokens)
                reason = cast("parts.FinishReason", chunk.finish_reason)
                self._made.append(
                    parts.StepFinished(finish_reason=reason, usage=usage, is_continued=chunk.is_continued)
                )
            case _:
                pass
        return self._take()

    def finish(self) -> list[parts.Chunk]:
        """Return what closes the parts that are open."""
        self._parts.close()
        return self._take()

    def _take(self) -> list[parts.Chunk]:
        made = self._made[:]
        self._made.clear()
        return made
