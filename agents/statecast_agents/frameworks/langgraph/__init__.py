"""Serve graphs of LangGraph, agents of LangChain, and deep agents.

Rule: importing this package does not import LangGraph. The other modules of this folder do, and they are imported when
a graph runs.
"""

from .agent import LangGraphAgent, page_tools_middleware, run_graph

__all__ = ["LangGraphAgent", "page_tools_middleware", "run_graph"]
