"""MCP: the tools of servers, offered to an agent.

Rule: nothing here imports the package `mcp` when it is imported; the other modules of this folder do, and are imported
when a server is opened.
"""

from .opening import open_mcp

__all__ = ["open_mcp"]
