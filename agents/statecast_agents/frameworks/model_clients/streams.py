"""Copy a model's stream into a message: `calls = await copy_stream(run, stream)`.

The stream may come from the OpenAI package (chat completions or responses), the Anthropic package, LiteLLM, or any
client whose chunks have the same attributes. The first chunk shows which.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable
from typing import Any, Final, Protocol

from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message import ToolCall
from statecast_agents.run import Run

from .anthropic_messages import AnthropicReader
from .openai_chat import ChatReader
from .openai_responses import ResponsesReader

__all__ = ["ModelStream", "copy_answer", "copy_stream"]

#: What a client's method returns with `stream=True`, awaited or not.
ModelStream = AsyncIterable[Any] | Awaitable[AsyncIterable[Any]]

_HOW: Final = "call an asynchronous client, such as AsyncOpenAI, with stream=True"


class Reader(Protocol):
    """Copies the chunks of one API into an answer."""

    def read(self, chunk: Any) -> None:
        """Copy one chunk."""

    def close(self) -> list[ToolCall]:
        """Finish the answer, and return the calls to answer."""


async def copy_stream(run: Run, stream: ModelStream, *, ns: str = "") -> list[ToolCall]:
    """Copy a model's stream into a new message, and return its tool calls.

    Text, reasoning, tool calls, sources, usage and the finish reason appear in the message as they arrive. A call whose
    arguments are not JSON gets an error as its result, and is not returned. A stop closes the connection to the
    provider.

    Args:
        run: The run.
        stream: The result of the client's method with `stream=True`, awaited or not.
        ns: The id of the tool call whose sub-agent answers; "": the answer belongs to the thread.

    Raises:
        AgentError: The provider refused the request, failed, or cut off the stream; the message is for the user.
        TypeError: `stream` is not the stream of an asynchronous client, or its chunks belong to no supported API.
    """
    with Turn(run) as turn:
        return await copy_answer(stream, Answer(turn, ns))


async def copy_answer(stream: ModelStream, answer: Answer) -> list[ToolCall]:
    """Copy a model's stream into an answer, and return its tool calls. The caller has entered the turn.

    Raises:
        AgentError: "model_cut_off": the stream ended before the model had finished.
        TypeError: As `copy_stream`.
    """
    chunks = await stream if inspect.isawaitable(stream) else stream
    if not isinstance(chunks, AsyncIterable):
        raise TypeError(f"expected an asynchronous stream, got {type(chunks).__name__}: {_HOW}")
    reader: Reader | None = None
    try:
        async for chunk in chunks:
            if reader is None:
                reader = _reader(chunk, answer)
            reader.read(chunk)
    finally:
        await _close(chunks)
    return answer.close() if reader is None else reader.close()


def _reader(chunk: Any, answer: Answer) -> Reader:
    """Return the reader for a stream with this first chunk.

    Raises:
        TypeError: No API that is known here sends such a chunk.
    """
    kind = getattr(chunk, "type", None)
    if hasattr(chunk, "choices"):
        return ChatReader(answer)
    if isinstance(kind, str) and (kind.startswith("response.") or kind == "error"):
        return ResponsesReader(answer)
    if kind in ("message_start", "ping"):
        return AnthropicReader(answer)
    raise TypeError(
        f"expected a chunk of chat completions, responses or Anthropic messages, got {type(chunk).__name__}"
    )


async def _close(stream: Any) -> None:
    """Close the connection to the provider, which a stream that was left early would hold."""
    close = getattr(stream, "close", None) or getattr(stream, "aclose", None)
    closed = None if close is None else close()
    if inspect.isawaitable(closed):
        await closed
