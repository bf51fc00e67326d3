"""The OpenAI Agents SDK, with its model of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from statecast.frameworks import OpenAIAgentsAgent, show_sub_agent
from statecast_agents import Agent
from tests.frameworks.provider import Provider
from tests.frameworks.tools import Tools

TITLE = "OpenAI Agents SDK"

GAPS: Mapping[str, str] = {}


@dataclass
class Question:
    question: str


def agent(provider: Provider, tools: Tools) -> Agent:
    import agents
    from openai import AsyncOpenAI

    from tests.frameworks.model_transport import http_client

    agents.set_tracing_disabled(True)  # it would send traces over the network
    client = AsyncOpenAI(base_url="http://provider/v1", api_key="any", max_retries=0, http_client=http_client(provider))
    model = agents.OpenAIResponsesModel(model="fake", openai_client=client)
    expert = agents.Agent(name="Expert", model=model)
    given = [
        agents.function_tool(tools.weather),
        agents.function_tool(tools.book, needs_approval=True),
        agents.function_tool(tools.fails),
        agents.function_tool(tools.block),
        expert.as_tool("expert", "Ask an expert.", parameters=Question, on_stream=show_sub_agent),
    ]
    return OpenAIAgentsAgent(agents.Agent(name="Host", model=model, tools=given), cancel_seconds=0.5)
