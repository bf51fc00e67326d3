"""Connect to an MCP server for the duration of a run (`open_mcp`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.frameworks.adapter.explain import failure
from statecast_agents.frameworks.adapter.tools import Approval

if TYPE_CHECKING:
    from mcp import StdioServerParameters
    from mcp.client import Transport
    from mcp.server.mcpserver import MCPServer

    from .tool import MCPTool

__all__ = ["open_mcp"]

#: A URL, a command to start, or a server in this process.
Server: TypeAlias = "str | StdioServerParameters | Transport | MCPServer[Any]"


@contextlib.asynccontextmanager
async def open_mcp(
    server: Server, *, name: str | None = None, prefix: str = "", needs_approval: Approval = False, **options: Any
) -> AsyncIterator[list[MCPTool]]:
    """Connect to an MCP server, and return its tools for the duration of the block.

    Use `async with open_mcp("https://example.com/mcp") as tools` around `run_tools`. In the state, each tool call shows
    its progress, the server's questions to the user, and the tool's app, if it has one.

    A server that speaks MCP 2026-07-28 asks by ending the call. The question waits in the state, even across a restart,
    and the answer repeats the call. An older server asks within the call, and the run waits for the answer.

    Args:
        server: A URL, `mcp.StdioServerParameters` to start a command, or an `MCPServer` in this process.
        name: The server's name, which pages receive with its apps.
        prefix: Prefix for the tools' names, in case several servers use the same names.
        needs_approval: Whether the user must approve a call first, or a function that decides from the arguments.
        options: Further arguments of `mcp.Client`.

    Raises:
        ImportError: The package `mcp` is not installed.
        AgentError: "connection_failed": the server is unreachable, or does not speak MCP.
    """
    try:
        from mcp import Client
    except ImportError as error:
        raise ImportError("expected the package mcp, got none: pip install 'statecast[mcp]'") from error
    from .tool import Connection, MCPTool

    connection = Connection(name)
    raised: Exception | None = None
    async with contextlib.AsyncExitStack() as stack:
        try:
            client = Client(server, elicitation_callback=connection.elicit, **options)
            definitions = await connection.open(await stack.enter_async_context(client))
        except Exception as error:
            raise failure("connection_failed") from error
        try:
            yield [MCPTool(connection, one, prefix, needs_approval=needs_approval) for one in definitions]
        except Exception as error:  # the client's task groups would put it into groups of theirs
            raised = error
    if raised is not None:
        raise raised
