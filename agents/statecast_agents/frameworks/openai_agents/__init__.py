"""The OpenAI Agents SDK: its agents as agents of Statecast.

Rule: nothing here imports the SDK when it is imported. Its import name is `agents`.
"""

from .agent import OpenAIAgentsAgent, run_openai_agents
from .events import show_sub_agent

__all__ = ["OpenAIAgentsAgent", "run_openai_agents", "show_sub_agent"]
