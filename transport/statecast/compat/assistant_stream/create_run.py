"""`create_run`: a callback's work as a stream of chunks, and the controller by which the callback streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

from statecast_agents import AgentError, AppendText, Document, Json, new_id

from . import assistant_stream_chunk as chunks
from .assistant_stream_chunk import AssistantStreamChunk

__all__ = ["ReadOnlyCancellationSignal", "RunController", "ToolCallController", "create_run", "keep"]

#: Seconds that a callback gets to notice that it is cancelled, before its task is.
NOTICE: Final = 0.05

#: What the user reads of an exception that is no `AgentError`: its text may hold anything.
FAILED: Final = "An error occurred while the answer was made."

_log: Final = logging.getLogger("statecast")

#: Tasks of runs that nobody reads any more: the event loop itself holds them weakly.
_left: Final[set[asyncio.Task[None]]] = set()


class ReadOnlyCancellationSignal:
    """Tells whether a run was cancelled.

    Args:
        event: Set when it is.
    """

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def is_set(self) -> bool:
        """Return whether the run was cancelled."""
        return self._event.is_set()

    async def wait(self) -> bool:
        """Wait until the run is cancelled."""
        return await self._event.wait()


class _Output:
    """What a run has made so far and nobody has read yet: chunks, in the order in which they were made.

    Args:
        queue: Takes the chunks; None after the last.
        state: The state at first.
    """

    def __init__(self, queue: asyncio.Queue[AssistantStreamChunk | None], state: Json) -> None:
        self.queue = queue
        self.loop = asyncio.get_running_loop()
        self.document = Document(state, wake=self._wake)
        self.document.flush()  # the client has the first state
        self.streams: list[asyncio.Task[None]] = []
        self.cancelled = asyncio.Event()

    def put(self, chunk: AssistantStreamChunk) -> None:
        """Add a chunk after what changed in the state; from any thread."""
        with self.document.lock:
            self.flush()
            self._put(chunk)

    def flush(self) -> None:
        """Add what changed in the state; from any thread."""
        with self.document.lock:
            operations = self.document.flush().operations
            if operations:
                self._put(chunks.UpdateStateChunk(encoded=operations))

    def _put(self, chunk: AssistantStreamChunk) -> None:
        self.loop.call_soon_threadsafe(self.queue.put_nowait, chunk)

    def _wake(self) -> None:
        self.loop.call_soon_threadsafe(self.flush)


class RunController:
    """What a callback streams with: its state, and parts of a message.

    Args:
        queue: Takes the chunks.
        state_data: The state at first.
        parent_id: The group of parts that what it adds belongs to.
    """

    def __init__(
        self,
        queue: asyncio.Queue[AssistantStreamChunk | None],
        state_data: Json = None,
        parent_id: str | None = None,
    ) -> None:
        self._output = _Output(queue, state_data)
        self._parent_id = parent_id

    @property
    def state(self) -> Json:
        """The state: change it as plain Python. Assigning replaces it whole.

        Raises:
            NotJson: The assigned value is not something a state can hold; the state is unchanged.
        """
        return self._output.document.root

    @state.setter
    def state(self, value: Json) -> None:
        self._output.document.root = value

    @property
    def cancelled_event(self) -> ReadOnlyCancellationSignal:
        """Tells when the run is cancelled."""
        return ReadOnlyCancellationSignal(self._output.cancelled)

    @property
    def is_cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return self._output.cancelled.is_set()

    def with_parent_id(self, parent_id: str) -> RunController:
        """Return a controller of the same run whose parts belong to a group."""
        controller = RunController.__new__(RunController)
        controller._output, controller._parent_id = self._output, parent_id
        return controller

    def append_text(self, text_delta: str) -> None:
        """Append to the answer's text."""
        self._output.put(chunks.TextDeltaChunk(text_delta, parent_id=self._parent_id))

    def append_reasoning(self, reasoning_delta: str) -> None:
        """Append to the reasoning."""
        self._output.put(chunks.ReasoningDeltaChunk(reasoning_delta, parent_id=self._parent_id))

    def append_state_text(self, path: Sequence[str | int], text_delta: str) -> None:
        """Append to the text at a path of the state, or put it there if there is none. O(`text_delta`).

        Raises:
            OperationError: There is something else, or no place for it.
            TypeError: `text_delta` is not a str.
        """
        if not isinstance(text_delta, str):
            raise TypeError(f"Can only append str (not '{type(text_delta).__name__}') as text delta")
        document = self._output.document
        keys = _keys_of(document.root, path)
        if keys is not None:
            document.append_text(text_delta, keys)
        else:
            document.apply(AppendText(tuple(map(str, path)), text_delta))

    def flush(self) -> None:
        """Send what changed in the state now."""
        self._output.flush()

    async def add_tool_call(self, tool_name: str, tool_call_id: str | None = None) -> ToolCallController:
        """Begin a tool call."""
        call = ToolCallController(self._output.put, tool_name, tool_call_id or new_id("call"))
        begin = chunks.ToolCallBeginChunk(call.tool_call_id, tool_name, parent_id=self._parent_id)
        self._output.put(begin)
        return call

    def add_tool_result(self, tool_call_id: str, result: Any) -> None:
        """Set the result of a tool call."""
        self._output.put(chunks.ToolResultChunk(tool_call_id, result))

    def add_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> None:
        """Add the chunks of another stream as they come. The run ends after it."""

        async def read() -> None:
            async for chunk in stream:
                self._output.put(chunk)

        self._output.streams.append(asyncio.create_task(read()))

    def add_data(self, data: Any) -> None:
        """Add data of the application."""
        self._output.put(chunks.DataChunk(data))

    def add_error(self, error: str) -> None:
        """Show the user an error."""
        self._output.put(chunks.ErrorChunk(error))

    def add_source(self, id: str, url: str, title: str | None = None) -> None:
        """Add a page that the answer cites."""
        self._output.put(chunks.SourceChunk(id, url, title=title, parent_id=self._parent_id))

    def add_file(self, data: str, mime_type: str) -> None:
        """Add a file: base64, or a URL."""
        self._output.put(chunks.FileChunk(data, mime_type, parent_id=self._parent_id))

    def add_annotations(self, annotations: list[Any]) -> None:
        """Annotate the message."""
        self._output.put(chunks.AnnotationsChunk(annotations))

    def add_step_start(self, message_id: str) -> None:
        """Begin a model call."""
        self._output.put(chunks.StepStartChunk(message_id))

    def add_step_finish(
        self, finish_reason: str, input_tokens: int = 0, output_tokens: int = 0, is_continued: bool = False
    ) -> None:
        """End a model call."""
        self._output.put(chunks.StepFinishChunk(finish_reason, input_tokens, output_tokens, is_continued))

    async def _perform(self, callback: Callable[[RunController], Coroutine[Any, Any, None]]) -> None:
        """Call the callback, and end the stream after everything that it began."""
        output = self._output
        try:
            await callback(self)
            for stream in output.streams:
                await stream
        except Exception as error:
            self.add_error(str(error) if isinstance(error, AgentError) else FAILED)
            raise
        finally:
            for stream in output.streams:
                stream.cancel()
            output.flush()
            output.loop.call_soon_threadsafe(output.queue.put_nowait, None)


class ToolCallController:
    """A tool call: takes its arguments piece by piece, then its result.

    Args:
        put: Takes the chunks.
        tool_name: The tool.
        tool_call_id: The call's id.
    """

    def __init__(self, put: Callable[[AssistantStreamChunk], None], tool_name: str, tool_call_id: str) -> None:
        self.tool_name = tool_name
        self.tool_call_id = tool_call_id
        self._put = put
        self._closed = False

    def append_args_text(self, args_text_delta: str) -> None:
        """Append to the arguments' JSON text."""
        if not self._closed:
            self._put(chunks.ToolCallDeltaChunk(self.tool_call_id, args_text_delta))

    def set_response(self, result: Any, *, artifact: Any = None, is_error: bool = False) -> None:
        """Set the result."""
        if not self._closed:
            self._put(chunks.ToolResultChunk(self.tool_call_id, result, artifact=artifact, is_error=is_error))
            self.close()

    def set_result(self, result: Any) -> None:
        """Set the result; `set_response` is the new name."""
        warnings.warn("set_result() is deprecated. Use set_response() instead.", DeprecationWarning, stacklevel=2)
        self.set_response(result)

    def close(self) -> None:
        """End the call: nothing that follows counts."""
        self._closed = True


async def create_run(
    callback: Callable[[RunController], Coroutine[Any, Any, None]], *, state: Json = None, detached: bool = False
) -> AsyncGenerator[AssistantStreamChunk, None]:
    """Run a callback, and yield what it streams.

    Args:
        callback: Takes a `RunController`.
        state: The state at first, as the client has it.
        detached: Whether the callback goes on when nobody reads the stream any more. Otherwise it is cancelled: first
            `is_cancelled` turns true, and 50 ms later its task is cancelled.

    Raises:
        Exception: What the callback raised, at the end of the stream and after an `ErrorChunk`.
    """
    queue: asyncio.Queue[AssistantStreamChunk | None] = asyncio.Queue()
    controller = RunController(queue, state)
    work = asyncio.create_task(controller._perform(callback))
    ended = False
    try:
        while (chunk := await queue.get()) is not None:
            yield chunk
        ended = True
    finally:
        if not ended:
            keep(work)
            if not detached:
                controller._output.cancelled.set()
                # A task of its own: whoever closes this stream may be cancelled at every await.
                await asyncio.shield(keep(asyncio.create_task(_stop(work))))
    await work


def _keys_of(state: Json, path: Sequence[str | int]) -> list[str | int] | None:
    """Return the keys to a text that is in a state; None if there is none at the path."""
    keys: list[str | int] = []
    for segment in path:
        try:
            key = int(segment) if isinstance(state, list) else str(segment)
            state = state[key]
        except (LookupError, TypeError, ValueError):
            return None
        keys.append(key)
    return keys if isinstance(state, str) else None


def keep(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Keep a task until it ends, and then log what it raised."""
    _left.add(task)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    _left.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a run that nobody reads any more failed", exc_info=error)


async def _stop(work: asyncio.Task[None]) -> None:
    """Let a run notice that it is cancelled, then cancel its task, and wait for it."""
    await asyncio.wait({work}, timeout=NOTICE)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait({work})
