"""Adapters for agent frameworks, and their common parts. Each framework is imported when its adapter is first used."""

from statecast_agents.frameworks.adapter.explain import explained
from statecast_agents.frameworks.adapter.inputs import Inputs, inputs
from statecast_agents.frameworks.adapter.tools import Tool, tool
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.frameworks.agent_framework import MicrosoftAgent, run_microsoft_agent, show_agent_updates
from statecast_agents.frameworks.generators import CallbackAgent, GeneratorAgent, State, run_callbacks, run_generator
from statecast_agents.frameworks.google_adk import GoogleADKAgent, run_google_adk
from statecast_agents.frameworks.langgraph import LangGraphAgent, page_tools_middleware, run_graph
from statecast_agents.frameworks.mcp import open_mcp
from statecast_agents.frameworks.model_clients.anthropic_requests import to_anthropic
from statecast_agents.frameworks.model_clients.openai_requests import to_openai, to_responses
from statecast_agents.frameworks.model_clients.streams import copy_stream
from statecast_agents.frameworks.model_clients.tool_loop import run_tools
from statecast_agents.frameworks.openai_agents import OpenAIAgentsAgent, run_openai_agents, show_sub_agent
from statecast_agents.frameworks.pydantic_ai import PydanticAgent, run_pydantic_ai, sub_agent_events
from statecast_agents.frameworks.smolagents import SmolagentsAgent, run_smolagents

__all__ = [
    "CallbackAgent",
    "GeneratorAgent",
    "GoogleADKAgent",
    "Inputs",
    "LangGraphAgent",
    "MicrosoftAgent",
    "OpenAIAgentsAgent",
    "PydanticAgent",
    "SmolagentsAgent",
    "State",
    "Tool",
    "Turn",
    "copy_stream",
    "explained",
    "foreign",
    "inputs",
    "open_mcp",
    "page_tools_middleware",
    "run_callbacks",
    "run_generator",
    "run_google_adk",
    "run_graph",
    "run_microsoft_agent",
    "run_openai_agents",
    "run_pydantic_ai",
    "run_smolagents",
    "run_tools",
    "show_agent_updates",
    "show_sub_agent",
    "sub_agent_events",
    "to_anthropic",
    "to_openai",
    "to_responses",
    "tool",
]
