"""Chat clients for agents of Microsoft Agent Framework that answer from a script and record what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)

__all__ = ["HANG", "Script", "call"]

#: In an answer: the model says nothing more until it is stopped.
HANG = object()


def call(name: str, id: str, arguments: Any = "{}") -> Content:
    """Return a tool call, or a piece of one."""
    return Content.from_function_call(id, name, arguments=arguments)


class Script(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """A client whose answers are given one by one, as texts and contents; an exception among them is raised."""

    def __init__(self, *answers: Sequence[Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[list[Message]] = []
        self.tools: list[list[str]] = []  #: the names of the tools that it was offered
        self.hung = asyncio.Event()  #: it has come to `HANG`

    def texts(self, place: int = -1) -> list[str]:
        """Return what it was asked, as the contents of the conversation."""
        return [_said(message, content) for message in self.asked[place] for content in message.contents]

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **given: Any) -> Any:
        assert stream
        return ResponseStream(self._stream(messages, options), finalizer=ChatResponse.from_updates)

    async def _stream(self, messages: Any, options: Any) -> AsyncIterator[ChatResponseUpdate]:
        self.asked.append([*messages])
        self.tools.append([tool.name for tool in options.get("tools") or ()])
        for piece in self.answers.pop(0):
            if isinstance(piece, BaseException):
                raise piece
            if piece is HANG:
                self.hung.set()
                await asyncio.Event().wait()
            content = Content.from_text(piece) if isinstance(piece, str) else piece
            yield ChatResponseUpdate(role="assistant", contents=[content])
        used = Content.from_usage({"input_token_count": 7, "output_token_count": 3})
        yield ChatResponseUpdate(role="assistant", contents=[used], finish_reason="stop", model="script-1")


def _said(message: Message, content: Content) -> str:
    if content.type == "function_call":
        return f"call: {content.name}"
    return f"result: {content.result}" if content.type == "function_result" else f"{message.role}: {content.text}"
