"""Stand-ins for LangChain and LangGraph: a chat model that says what a test wants, and a checkpointer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ConfigDict, Field

__all__ = ["HANG", "ScriptedModel", "Synchronous", "call", "end", "piece"]

#: In an answer: the model says nothing more, until it is stopped.
HANG = object()


class ScriptedModel(BaseChatModel):
    """A model that gives its answers one after the other.

    An answer is a list of pieces: a text, a chunk, an exception to raise, or `HANG`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    answers: list[Sequence[Any]]
    asked: list[list[BaseMessage]] = Field(default_factory=list)  #: the messages of each call
    tools: list[list[Any]] = Field(default_factory=list)  #: the tools that were bound, each time
    stopped: int = 0  #: how many answers were cancelled
    hanging: Any = Field(default_factory=asyncio.Event)  #: set when an answer hangs

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        self.tools.append([*tools])
        return self

    def said(self, call: int = -1) -> list[tuple[str, str]]:
        """Return the types and texts of the messages that the model was given."""
        return [(message.type, str(message.text)) for message in self.asked[call]]

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        try:
            for chunk in self._chunks(messages):
                if chunk is None:
                    self.hanging.set()
                    await asyncio.Event().wait()
                    continue
                await asyncio.sleep(0)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped += 1
            raise

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            assert chunk is not None, "a synchronous model cannot be stopped"
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _chunks(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk | None]:
        self.asked.append(messages)
        for given in self.answers[len(self.asked) - 1]:
            if isinstance(given, BaseException):
                raise given
            message = piece(given) if isinstance(given, str) else given
            yield None if given is HANG else ChatGenerationChunk(message=message.model_copy())


class Synchronous(BaseCheckpointSaver[str]):
    """A checkpointer without asynchronous methods."""

    def __init__(self) -> None:
        super().__init__()
        saver = InMemorySaver()
        for name in ("get_tuple", "list", "put", "put_writes", "delete_thread", "get_next_version"):
            setattr(self, name, getattr(saver, name))


def piece(content: Any, **fields: Any) -> AIMessageChunk:
    """Return a chunk of an answer."""
    return AIMessageChunk(content=content, **fields)


def call(index: int | None, args: str | None = "", *, id: str | None = None, name: str | None = None) -> AIMessageChunk:
    """Return a piece of a tool call; its first one has the id and the name."""
    return piece(
        "", tool_call_chunks=[{"index": index, "args": args, "id": id, "name": name, "type": "tool_call_chunk"}]
    )


def end(read: int, written: int) -> AIMessageChunk:
    """Return the last chunk of an answer, with the tokens that it took."""
    usage: Any = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    return piece(
        "",
        usage_metadata=usage,
        response_metadata={"finish_reason": "stop", "model_name": "m-1"},
        chunk_position="last",
    )
