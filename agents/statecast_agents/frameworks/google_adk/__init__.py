"""Google ADK: its agents as agents of Statecast.

Rule: nothing here imports ADK when it is imported; `input`, `performing` and `session` do, and are imported when an
agent runs.
"""

from .agent import GoogleADKAgent, run_google_adk

__all__ = ["GoogleADKAgent", "run_google_adk"]
