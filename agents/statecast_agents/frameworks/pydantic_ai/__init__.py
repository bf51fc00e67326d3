"""Pydantic AI: its agents as agents of Statecast.

Rule: nothing here imports Pydantic AI when it is imported; the other modules of this folder do, and are imported when
an agent runs.
"""

from .agent import PydanticAgent, run_pydantic_ai, sub_agent_events

__all__ = ["PydanticAgent", "run_pydantic_ai", "sub_agent_events"]
