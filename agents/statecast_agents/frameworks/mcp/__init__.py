"""Offer the tools of MCP servers to an agent.

Rule: importing this package does not import the package `mcp`. The other modules of this folder do, and they are
imported when a server is opened.
"""

from .opening import open_mcp

__all__ = ["open_mcp"]
