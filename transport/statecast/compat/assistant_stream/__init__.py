"""The interface of PyPI's `assistant-stream` 0.0.36: a backend changes its imports and nothing else.

The state is Statecast's own, so every mutation works and a text grows at the cost of what is added. What differs, and
why: docs/guides/from-assistant-stream.md.
"""

from .create_run import RunController, create_run
from .modules.langgraph import append_langgraph_event, get_tool_call_subgraph_state
from .serialization import AssistantStreamResponse

__all__ = [
    "AssistantStreamResponse",
    "RunController",
    "append_langgraph_event",
    "create_run",
    "get_tool_call_subgraph_state",
]
