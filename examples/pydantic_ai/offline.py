"""Stand-ins for the models of agent.py: what they say is fixed, so that there is something to see without a key."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel


async def plan_trip(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Ask the guide and plan a stop, then book it, then say what became of that."""
    results = {part.tool_name: part for part in _results(messages)}
    if "book" in results:
        async for word in _words(
            "Rome is booked." if results["book"].outcome == "success" else "Then I leave it open."
        ):
            yield word
    elif results:
        yield {0: DeltaToolCall("book", '{"city": "Rome"}', tool_call_id=f"book_{len(messages)}")}
    else:
        async for word in _words("Two nights in Rome, with pleasure. Let me ask the guide."):
            yield word
        question = '{"city": "Rome", "question": "What should I see?"}'
        yield {1: DeltaToolCall("ask_guide", question, tool_call_id=f"guide_{len(messages)}")}
        yield {2: DeltaToolCall("add_stop", '{"city": "Rome", "nights": 2}', tool_call_id=f"stop_{len(messages)}")}


async def guide_visitor(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Say what to see."""
    async for word in _words("Walk the Forum in the morning. Cross the river to Trastevere for the evening."):
        yield word


def _results(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    """Return the results of the tools that were called since the user's last message."""
    found: list[ToolReturnPart] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            if any(isinstance(part, UserPromptPart) for part in message.parts):
                found = []
            found += [part for part in message.parts if isinstance(part, ToolReturnPart)]
    return found


async def _words(text: str) -> AsyncIterator[str]:
    for word in text.split(" "):
        await asyncio.sleep(0.05)
        yield f"{word} "


travel = FunctionModel(stream_function=plan_trip)
guide = FunctionModel(stream_function=guide_visitor)
