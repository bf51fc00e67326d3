"""Serve agents of Microsoft Agent Framework.

Rule: importing this package does not import the framework. Only `input`, `performing` and `session` do, and they are
imported when an agent runs.
"""

from .agent import MicrosoftAgent, run_microsoft_agent, show_agent_updates

__all__ = ["MicrosoftAgent", "run_microsoft_agent", "show_agent_updates"]
