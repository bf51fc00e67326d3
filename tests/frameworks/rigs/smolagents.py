"""smolagents: a `ToolCallingAgent` with a model of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from statecast.frameworks import SmolagentsAgent
from statecast_agents import Agent
from tests.frameworks.provider import USAGE, CallArgs, CallBegin, Provider, Reasoning, Request, Text
from tests.frameworks.tools import Tools

if TYPE_CHECKING:
    from smolagents.models import ChatMessage, ChatMessageStreamDelta

TITLE = "smolagents"

_SYNCHRONOUS = "Its agents are synchronous: they would wait in a worker thread, which a restart would lose."

GAPS: Mapping[str, str] = {
    "reasoning": "Its model streams carry no reasoning. Text the model writes besides its answer appears as reasoning.",
    "client_tool": _SYNCHRONOUS,
    "approvals": _SYNCHRONOUS,
    "denial": _SYNCHRONOUS,
    "mixed_calls": _SYNCHRONOUS,
    "message_instead": _SYNCHRONOUS,
    "sub_agent": "A managed agent does not stream; its report is the result of the call.",
    "cancel": "Its agents are synchronous: a stop takes effect when the model produces its next piece.",
}


def agent(provider: Provider, tools: Tools) -> Agent:
    from smolagents import LogLevel, Model, Tool, ToolCallingAgent
    from smolagents.models import ChatMessageStreamDelta
    from smolagents.models import ChatMessageToolCallFunction as Function
    from smolagents.models import ChatMessageToolCallStreamDelta as CallDelta
    from smolagents.monitoring import TokenUsage

    class FakeModel(Model):
        def generate_stream(
            self, messages: list[ChatMessage], **options: Any
        ) -> Iterator[ChatMessageStreamDelta]:  # as OpenAIModel has it
            offered = [tool.name for tool in options.get("tools_to_call_from") or ()]
            answers = not any(isinstance(step, CallBegin) for step in provider.script[0])

            def call(index: int, arguments: str, id: str | None = None, name: str = "") -> ChatMessageStreamDelta:
                function = Function(arguments=arguments, name=name)
                return ChatMessageStreamDelta(tool_calls=[CallDelta(index=index, id=id, function=function)])

            if answers:
                yield call(0, '{"answer": "', id=f"final-{len(provider.requests)}", name="final_answer")
            for step in provider.answer_in_thread(_request(messages, offered)):
                match step:
                    case Text(delta) if answers:
                        yield call(0, delta)
                    case Text(delta) | Reasoning(delta):
                        yield ChatMessageStreamDelta(content=delta)
                    case CallBegin(id, name, index):
                        yield call(index, "", id=id, name=name)
                    case CallArgs(delta, index):
                        yield call(index, delta)
            if answers:
                yield call(0, '"}')
            yield ChatMessageStreamDelta(token_usage=TokenUsage(*USAGE))

    class Weather(Tool):
        name = "weather"
        description = "Return the weather in a city."
        inputs = {"city": {"type": "string", "description": "The city."}}  # noqa: RUF012  # as Tool declares it
        output_type = "string"

        def forward(self, city: str) -> str:
            return asyncio.run(tools.weather(city))

    class Fails(Tool):
        name = "fails"
        description = "Fail."
        inputs: Any = {}  # noqa: RUF012
        output_type = "string"

        def forward(self) -> str:
            return asyncio.run(tools.fails()) or ""

    class Block(Tool):
        name = "block"
        description = "Block."
        inputs: Any = {}  # noqa: RUF012
        output_type = "string"

        def forward(self) -> str:
            return tools.block()

    def make() -> ToolCallingAgent:
        return ToolCallingAgent(
            tools=[Weather(), Fails(), Block()],
            model=FakeModel(),
            stream_outputs=True,
            verbosity_level=LogLevel.OFF,
        )

    return SmolagentsAgent(make, cancel_seconds=0.5)


def _request(messages: list[ChatMessage], tools: list[str]) -> Request:
    roles = {"tool-response": "tool"}
    read = [(roles.get(message.role.value, message.role.value), _text(message.content)) for message in messages]
    return Request([(role, text) for role, text in read if role != "tool-call"], tools)


def _text(content: Any) -> str:
    text = "".join(part["text"] for part in content if part["type"] == "text")
    return text.removeprefix("New task:\n").removeprefix("Observation:\n")
