"""A travel agent made with Pydantic AI. Its plan is in the state, and it asks before it books.

pip install 'statecast[pydantic-ai]'
statecast serve examples.pydantic_ai.agent:agent         in the root of the checkout
python -m examples.pydantic_ai.agent                     the same

With MODEL and a key in the environment, such as MODEL=openai:gpt-5-mini (pip install 'pydantic-ai-slim[openai]'), it
asks that model. Without, stand-ins play the models. README.md in this folder says what to try.
"""

import os
from dataclasses import dataclass

from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ApprovalRequired

from examples.pydantic_ai import offline
from statecast import serve
from statecast.frameworks import PydanticAgent, sub_agent_events
from statecast.state import Json

MODEL = os.environ.get("MODEL")


@dataclass
class Trip:
    """What the tools work on."""

    state: dict[str, Json]  # the thread's state: pages see what tools change here


guide = Agent(MODEL or offline.guide, instructions="You know every city. Answer in two sentences.")
travel = Agent(
    MODEL or offline.travel,
    deps_type=Trip,
    instructions="You plan trips. Ask the guide what to see, add every stop to the plan, and book what the user wants.",
)


@travel.tool
def add_stop(ctx: RunContext[Trip], city: str, nights: int) -> str:
    """Add a stop to the plan."""
    plan = ctx.deps.state.setdefault("plan", [])
    plan.append({"city": city, "nights": nights, "booked": False})
    return f"{city} is stop {len(plan)}."


@travel.tool
async def ask_guide(ctx: RunContext[Trip], city: str, question: str) -> str:
    """Ask the guide about a city."""
    answer = await guide.run(f"{city}: {question}", usage=ctx.usage, event_stream_handler=sub_agent_events(ctx))
    return answer.output


@travel.tool
def book(ctx: RunContext[Trip], city: str) -> str:
    """Book a stop of the plan."""
    stop = next((stop for stop in ctx.deps.state.get("plan", []) if stop["city"] == city), None)
    if stop is None:
        return f"{city} is not in the plan."
    if not ctx.tool_call_approved:
        raise ApprovalRequired({"prompt": f"Book {stop['nights']} nights in {city}?"})
    stop["booked"] = True
    return f"Booked {city}."


agent = PydanticAgent(travel, "travel", deps=lambda run: Trip(run.state))

if __name__ == "__main__":
    serve(agent)
