"""Models for agents of Pydantic AI that answer from a script and record what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

__all__ = ["HANG", "Script", "call", "think"]

#: In an answer: the model says nothing more until it is stopped.
HANG = object()


def think(text: str, *, index: int = 0, signature: str | None = None) -> Any:
    """Return a piece of thinking."""
    return {index: DeltaThinkingPart(content=text, signature=signature)}


def call(name: str, args: str, id: str | None = None, *, index: int = 1) -> Any:
    """Return a piece of a tool call; the later ones of a call have no name."""
    return {index: DeltaToolCall(name=name or None, json_args=args, tool_call_id=id)}


class Script:
    """A model whose answers are given one by one, as sequences of pieces; an exception among them is raised."""

    def __init__(self, *answers: Sequence[Any]) -> None:
        self.answers = list(answers)
        self.asked: list[list[ModelMessage]] = []  #: the histories that it got
        self.tools: list[list[str]] = []  #: the names of the tools that it was offered
        self.hung = asyncio.Event()  #: it has come to `HANG`
        self.stopped = 0  #: how many answers were stopped
        self.model = FunctionModel(stream_function=self._stream)

    def texts(self, place: int = -1) -> list[str]:
        """Return what it was asked, as the contents of the parts of a history."""
        return [f"{part.part_kind}: {_content(part)}" for message in self.asked[place] for part in message.parts]

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.asked.append(list(messages))
        self.tools.append([tool.name for tool in info.function_tools])
        try:
            for piece in self.answers.pop(0):
                if isinstance(piece, BaseException):
                    raise piece
                if piece is HANG:
                    self.hung.set()
                    await asyncio.Event().wait()
                yield piece
        except asyncio.CancelledError:
            self.stopped += 1
            raise


def _content(part: Any) -> Any:
    return part.args if part.part_kind == "tool-call" else part.content
