"""An MCP server for tests: its tools ask the user, report progress, fail, and have an app."""

# Without `from __future__ import annotations`: the server resolves those of tools, and not within a function.

import asyncio
from typing import Annotated

from mcp.server.apps import Apps
from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

__all__ = ["Restaurants"]


class Guest(BaseModel):
    name: str


class Table(BaseModel):
    size: int


async def ask_guest(place: str) -> Elicit[Guest]:
    return Elicit(f"Who goes to {place}?", Guest)


async def ask_table() -> Elicit[Table]:
    return Elicit("How large a table?", Table)


class Restaurants:
    """A server in this process, and what reached it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False
        apps = Apps()

        @apps.tool(resource_uri="ui://menu/app.html", description="The menu.")
        def menu() -> dict[str, list[str]]:
            return {"dishes": ["soup"]}

        apps.add_html_resource("ui://menu/app.html", "<b>Menu</b>", prefers_border=True)
        self.server = MCPServer("restaurants", extensions=[apps], log_level="CRITICAL")

        @self.server.tool()
        async def book(
            place: str, guest: Annotated[Guest, Resolve(ask_guest)], table: Annotated[Table, Resolve(ask_table)]
        ) -> str:
            """Book a table."""
            return f"{place}: {guest.name}, {table.size}"

        @self.server.tool()
        async def reserve(place: str, ctx: Context) -> str:
            asked = await ctx.elicit(f"Who goes to {place}?", Guest)  # within the call, as older servers do
            return f"{place}: {asked.data.name}" if isinstance(asked, AcceptedElicitation) else asked.action

        @self.server.tool()
        async def cook(ctx: Context) -> dict[str, int]:
            await ctx.report_progress(1, 3, "chopping")
            self.begun.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            return {"portions": 2}

        @self.server.tool()
        def burn() -> str:
            raise RuntimeError("sk-secret")

        @self.server.tool()
        def count(dishes: list[str]) -> int:
            return len(dishes)
