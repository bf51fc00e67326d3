"""A gardener made with Google ADK. The beds are the session's state, and it asks before it waters.

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


def add_bed(plant: str, area: float, tool_context: ToolContext) -> str:
    """Add a bed to the greenhouse: what grows in it, and its area in square metres."""
    beds = [*tool_context.state.get("beds", []), {"plant": plant, "area": area, "watered": False}]
    tool_context.state["beds"] = beds
    return f"Bed {len(beds)} has {plant}."


def water(plant: str, tool_context: ToolContext) -> str:
    """Water a bed."""
    beds = tool_context.state.get("beds", [])
    tool_context.state["beds"] = [bed | {"watered": bed["watered"] or bed["plant"] == plant} for bed in beds]
    return f"Watered the {plant}."


botanist = LlmAgent(
    name="botanist",
    model=MODEL,
    mode="single_turn",
    description="Knows what a plant needs.",
    instruction="You know every plant. Answer in two sentences.",
)
gardener = LlmAgent(
    name="gardener",
    model=MODEL,
    instruction="You keep a greenhouse. Ask the botanist for advice, add every bed, and water what the user wants.",
    tools=[add_bed, FunctionTool(water, require_confirmation=True)],
    sub_agents=[botanist],
)

agent = GoogleADKAgent(gardener, "gardener", values="greenhouse")

if __name__ == "__main__":
    serve(agent)
