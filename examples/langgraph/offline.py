"""Stand-ins for a model: they say what a model would in the example, word by word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

__all__ = ["Guide", "Planner"]

STEPS = ("Ask the guide", "Search trains", "Book one")


class Offline(BaseChatModel):
    """A model that needs no provider."""

    def say(self, messages: Sequence[BaseMessage]) -> Iterator[AIMessageChunk]:
        """Yield the pieces of the next answer."""
        raise NotImplementedError

    @property
    def _llm_type(self) -> str:
        return "offline"

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        return self

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self.say(messages):
            chunk = ChatGenerationChunk(message=piece)
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Guide(Offline):
    """The sub-agent's model."""

    def say(self, messages: Sequence[BaseMessage]) -> Iterator[AIMessageChunk]:
        yield from words(f"In {messages[-1].text}, see the old town, the museum and the river.")


class Planner(Offline):
    """The agent's model: a step for each result that it has."""

    def say(self, messages: Sequence[BaseMessage]) -> Iterator[AIMessageChunk]:
        asked = max(index for index, message in enumerate(messages) if message.type == "human")
        city = str(messages[asked].text).rstrip(".!?").split(" ")[-1]
        results = [message for message in messages[asked:] if isinstance(message, ToolMessage)]
        match len(results):
            case 0:
                yield from words(f"A trip to {city}! Here is my plan.")
                yield call("plan", "write_todos", todos=plan(0))
            case 1:
                yield call("guide", "ask_guide", city=city)
                yield call("trains", "search_trains", index=1, city=city)
            case 3:
                yield call("plan-2", "write_todos", todos=plan(2))
            case 4:
                yield from words("The first train suits you best.")
                yield call("book", "book_train", city=city, leaves="07:05")
            case 5 if results[-1].status == "success":
                yield call("plan-3", "write_todos", todos=plan(3))
            case 5:
                yield from words("Then I book nothing.")
            case _:
                yield from words(f"{results[4].text} {results[1].text} Have a good trip!")


def words(text: str) -> Iterator[AIMessageChunk]:
    """Yield a text word by word."""
    for word in text.split(" "):
        yield AIMessageChunk(content=f"{word} ")


def call(id: str, name: str, *, index: int = 0, **args: Any) -> AIMessageChunk:
    """Return a whole tool call."""
    return AIMessageChunk(
        content="", tool_call_chunks=[tool_call_chunk(name=name, args=json.dumps(args), id=id, index=index)]
    )


def plan(done: int) -> list[dict[str, str]]:
    """Return the plan, with so many steps done."""
    return [
        {"content": step, "status": "completed" if at < done else "in_progress" if at == done else "pending"}
        for at, step in enumerate(STEPS)
    ]
