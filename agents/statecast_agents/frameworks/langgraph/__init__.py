"""LangGraph: graphs, LangChain's agents and deep agents as agents of Statecast.

Rule: nothing here imports LangGraph when it is imported; the other modules of this folder do, and are imported when a
graph runs.
"""

from .agent import LangGraphAgent, page_tools_middleware, run_graph

__all__ = ["LangGraphAgent", "page_tools_middleware", "run_graph"]
