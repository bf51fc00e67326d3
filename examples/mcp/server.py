"""An MCP server: a restaurant that asks before it books, and shows its menu as an app.

It is started by agent.py. Any other host of MCP can use it, too.
"""

import asyncio
from typing import Annotated

from mcp.server.apps import Apps
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from pydantic import BaseModel, Field

MENU = """<!doctype html>
<title>Menu</title>
<h1>Today</h1>
<ul><li>Tomato soup</li><li>Mushroom risotto</li></ul>
"""

apps = Apps()


@apps.tool(resource_uri="ui://restaurant/menu.html", description="Show today's menu.")
def menu() -> list[str]:
    return ["Tomato soup", "Mushroom risotto"]


apps.add_html_resource("ui://restaurant/menu.html", MENU)
server = MCPServer("restaurant", extensions=[apps], log_level="WARNING")


class Booking(BaseModel):
    """What the user is asked."""

    name: str = Field(description="In whose name?")
    guests: int = Field(ge=1, le=12, description="For how many?")


async def ask_booking(time: str) -> Elicit[Booking]:
    return Elicit(f"Who comes at {time}?", Booking)


@server.tool()
def book(time: str, booking: Annotated[Booking, Resolve(ask_booking)]) -> str:
    """Book a table; `time` as "19:00". The user is asked for the name."""
    return f"Booked at {time} for {booking.name}, {booking.guests} guests."


@server.tool()
async def cook(dish: str, ctx: Context) -> str:
    """Cook a dish. This takes a while."""
    steps = ["chopping", "cooking", "serving"]
    for number, step in enumerate(steps):
        await ctx.report_progress(number, len(steps), step)
        await asyncio.sleep(1)
    return f"{dish}, hot."


if __name__ == "__main__":
    server.run()
