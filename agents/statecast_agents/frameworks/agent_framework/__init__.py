"""Microsoft Agent Framework: its agents as agents of Statecast.

Rule: nothing here imports the framework when it is imported; `input`, `performing` and `session` do, and are imported
when an agent runs.
"""

from .agent import MicrosoftAgent, run_microsoft_agent, show_agent_updates

__all__ = ["MicrosoftAgent", "run_microsoft_agent", "show_agent_updates"]
