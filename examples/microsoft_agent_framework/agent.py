"""A travel agent made with Microsoft Agent Framework. Its plan is in the state, and it asks before it books.

pip install 'statecast[agent-framework]' agent-framework-openai
export OPENAI_API_KEY=…
export MODEL=…                                                       # default: gpt-5-mini
statecast serve examples.microsoft_agent_framework.agent:agent       in the root of the checkout
python examples/microsoft_agent_framework/agent.py                   the same

README.md in this folder says what to try.
"""

import os

from agent_framework import Agent, tool
from agent_framework.openai import OpenAIChatClient

from statecast import current_run, serve
from statecast.frameworks import MicrosoftAgent, show_agent_updates

MODEL = os.environ.get("MODEL", "gpt-5-mini")


def add_stop(city: str, nights: int) -> str:
    """Add a stop to the plan."""
    plan = current_run().state.setdefault("plan", [])
    plan.append({"city": city, "nights": nights, "booked": False})
    return f"{city} is stop {len(plan)}."


@tool(approval_mode="always_require")
def book(city: str) -> str:
    """Book a stop of the plan."""
    for stop in current_run().state.get("plan", []):
        if stop["city"] == city:
            stop["booked"] = True
    return f"Booked {city}."


client = OpenAIChatClient(model=MODEL, api_key=os.environ.get("OPENAI_API_KEY", "missing"))
guide = Agent(
    client,
    "You know every city. Answer in two sentences.",
    name="ask_guide",
    description="Ask the guide about a city.",
)
travel = Agent(
    client,
    "You plan trips. Ask the guide what to see, add every stop to the plan, and book what the user wants.",
    name="travel",
    tools=[add_stop, book, guide.as_tool(arg_name="question", stream_callback=show_agent_updates)],
)

agent = MicrosoftAgent(travel, "travel")

if __name__ == "__main__":
    serve(agent)
