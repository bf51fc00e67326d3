"""Serve agents of Google ADK.

Rule: importing this package does not import ADK. Only `input`, `performing` and `session` do, and they are imported
when an agent runs.
"""

from .agent import GoogleADKAgent, run_google_adk

__all__ = ["GoogleADKAgent", "run_google_adk"]
