"""Serve agents of Pydantic AI.

Rule: importing this package does not import Pydantic AI. The other modules of this folder do, and they are imported
when an agent runs.
"""

from .agent import PydanticAgent, run_pydantic_ai, sub_agent_events

__all__ = ["PydanticAgent", "run_pydantic_ai", "sub_agent_events"]
