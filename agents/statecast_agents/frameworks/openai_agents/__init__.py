"""Serve agents of the OpenAI Agents SDK.

Rule: importing this package does not import the SDK, whose import name is `agents`.
"""

from .agent import OpenAIAgentsAgent, run_openai_agents
from .events import show_sub_agent

__all__ = ["OpenAIAgentsAgent", "run_openai_agents", "show_sub_agent"]
