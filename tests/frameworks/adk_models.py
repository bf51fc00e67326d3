"""Models for agents of Google ADK that answer from a script and record what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.genai.types import Content, FunctionCall, GenerateContentResponseUsageMetadata, Part
from pydantic import PrivateAttr

__all__ = ["HANG", "Script", "call", "think"]

#: In an answer: the model says nothing more until it is stopped or released.
HANG = object()


def think(text: str) -> Part:
    """Return a piece of thinking."""
    return Part(text=text, thought=True)


def call(name: str, id: str | None = None, **args: Any) -> Part:
    """Return a tool call."""
    return Part(function_call=FunctionCall(id=id, name=name, args=args))


class Script(BaseLlm):
    """A model whose answers are given one by one: texts, parts, whole responses; an exception among them is raised."""

    _answers: list[Sequence[Any]] = PrivateAttr()
    _asked: list[LlmRequest] = PrivateAttr(default_factory=list)
    _hung: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    _released: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    def __init__(self, *answers: Sequence[Any]) -> None:
        super().__init__(model="script-1")
        self._answers = list(answers)

    @property
    def hung(self) -> asyncio.Event:
        """It has come to `HANG`."""
        return self._hung

    @property
    def released(self) -> asyncio.Event:
        """It may go on."""
        return self._released

    def tools(self, place: int = -1) -> list[str]:
        """Return the names of the tools that it was offered."""
        return [*self._asked[place].tools_dict]

    def texts(self, place: int = -1) -> list[str]:
        """Return what it was asked, as the contents of the parts of the conversation."""
        return [_said(content, part) for content in self._asked[place].contents for part in content.parts or ()]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        self._asked.append(llm_request.model_copy(update={"contents": [*llm_request.contents]}))
        whole: list[Part] = []
        for piece in self._answers.pop(0):
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, LlmResponse):
                yield piece
                return
            if piece is HANG:
                self._hung.set()
                await self._released.wait()
                continue
            part = Part(text=piece) if isinstance(piece, str) else piece
            if part.text and stream:
                yield LlmResponse(content=Content(role="model", parts=[part]), partial=True)
            if part.text and whole and whole[-1].text and whole[-1].thought == part.thought:
                whole[-1] = Part(text=whole[-1].text + part.text, thought=part.thought)
            else:
                whole.append(part)
        usage = GenerateContentResponseUsageMetadata(prompt_token_count=7, candidates_token_count=3)
        content = Content(role="model", parts=whole)
        yield LlmResponse(content=content, partial=False, usage_metadata=usage, model_version="script-1")


def _said(content: Content, part: Part) -> str:
    if part.function_call is not None:
        return f"call: {part.function_call.name} {part.function_call.args}"
    if part.function_response is not None:
        return f"result: {part.function_response.response}"
    return f"{content.role}: {part.text}"
