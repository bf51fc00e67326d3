"""Pydantic AI: an agent whose `FunctionModel` the provider plays."""

# Without `from __future__ import annotations`: Pydantic AI resolves those of tools, and not within a function.

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from statecast.frameworks import PydanticAgent, sub_agent_events
from statecast_agents import Agent
from tests.frameworks.provider import CallArgs, CallBegin, Provider, Reasoning, Request, Text
from tests.frameworks.tools import Tools

TITLE = "Pydantic AI"

GAPS: Mapping[str, str] = {}

#: The roles of a history's parts.
ROLES = {"system-prompt": "system", "user-prompt": "user", "text": "assistant", "tool-return": "tool"}


def agent(provider: Provider, tools: Tools) -> Agent:
    from pydantic_ai import Agent as Framework
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        async for step in provider.answer(_request(messages, info)):
            match step:
                case Text(delta):
                    yield delta
                case Reasoning(delta):
                    yield {0: DeltaThinkingPart(content=delta)}
                case CallBegin(id, name, index):
                    yield {index + 1: DeltaToolCall(name=name, json_args="", tool_call_id=id)}
                case CallArgs(delta, index):
                    yield {index + 1: DeltaToolCall(json_args=delta)}

    model = FunctionModel(stream_function=answer)
    framework = Framework(model)
    expert_agent = Framework(model)
    for tool in (tools.weather, tools.fails, tools.block):
        framework.tool_plain(tool)
    framework.tool_plain(requires_approval=True)(tools.book)

    @framework.tool
    async def expert(ctx: RunContext[object], question: str) -> str:
        answered = await expert_agent.run(question, event_stream_handler=sub_agent_events(ctx))
        return answered.output

    return PydanticAgent(framework, cancel_seconds=0.5)  # `block` does not notice that it is to end


def _request(messages: Sequence[Any], info: Any) -> Request:
    parts = [part for message in messages for part in message.parts if part.part_kind in ROLES]
    said = [(ROLES[part.part_kind], str(part.content)) for part in parts]
    return Request(said, [tool.name for tool in info.function_tools])
