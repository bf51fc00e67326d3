"""Adapters for agent frameworks, and their common parts. Each framework is imported when its adapter is first used."""

from statecast_agents.frameworks.explain import explained
from statecast_agents.frameworks.inputs import Inputs, inputs
from statecast_agents.frameworks.langgraph import LangGraphAgent, run_graph
from statecast_agents.frameworks.turn import Turn
from statecast_agents.frameworks.work import foreign

__all__ = ["Inputs", "LangGraphAgent", "Turn", "explained", "foreign", "inputs", "run_graph"]
