"""A travel agent made with Google ADK. Its plan is the session's state, and it asks before it books.

pip install 'statecast[google-adk]'
export GOOGLE_API_KEY=…
export MODEL=…                                           # any of ADK's; default: gemini-flash-latest
statecast serve examples.google_adk.agent:agent          in the root of the checkout
python examples/google_adk/agent.py                      the same

README.md in this folder says what to try.
"""

import os

from google.adk.agents import LlmAgent
from google.adk.tools.function_tool import FunctionTool
from google.adk.tools.tool_context import ToolContext

from statecast import serve
from statecast.frameworks import GoogleADKAgent

MODEL = os.environ.get("MODEL", "gemini-flash-latest")


def add_stop(city: str, nights: int, tool_context: ToolContext) -> str:
    """Add a stop to the plan."""
    stops = [*tool_context.state.get("stops", []), {"city": city, "nights": nights, "booked": False}]
    tool_context.state["stops"] = stops
    return f"{city} is stop {len(stops)}."


def book(city: str, tool_context: ToolContext) -> str:
    """Book a stop of the plan."""
    stops = tool_context.state.get("stops", [])
    tool_context.state["stops"] = [stop | {"booked": stop["booked"] or stop["city"] == city} for stop in stops]
    return f"Booked {city}."


guide = LlmAgent(
    name="guide",
    model=MODEL,
    mode="single_turn",
    description="Knows what to see in a city.",
    instruction="You know every city. Answer in two sentences.",
)
travel = LlmAgent(
    name="travel",
    model=MODEL,
    instruction="You plan trips. Ask the guide what to see, add every stop to the plan, and book what the user wants.",
    tools=[add_stop, FunctionTool(book, require_confirmation=True)],
    sub_agents=[guide],
)

agent = GoogleADKAgent(travel, "travel", values="plan")

if __name__ == "__main__":
    serve(agent)
