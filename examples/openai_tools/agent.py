"""A concierge made with OpenAI's client. It looks things up, asks before it books, and uses the page's tools.

pip install 'statecast[openai]'
export OPENAI_API_KEY=…            # not needed by most local servers
export OPENAI_BASE_URL=…           # left out: OpenAI's own; or for instance http://127.0.0.1:11434/v1
export OPENAI_MODEL=…              # default: gpt-5-mini
statecast serve examples.openai_tools.agent:agent         in the root of the checkout
python examples/openai_tools/agent.py                     the same

README.md in this folder says what to try.
"""

import os
from collections.abc import Sequence
from typing import Any

from openai import AsyncOpenAI

from statecast import Agent, AgentError, Run, serve
from statecast.frameworks import Tool, run_tools, to_openai, tool

SYSTEM = "You are a concierge. Look restaurants up before you suggest one. Book what the user wants."
TABLES = {"Trattoria Bella": ["19:00", "21:00"], "Sushi Kai": ["20:00"]}
MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
PRICES = {"inputTokens": 0.25e-6, "outputTokens": 2e-6}  # dollars for a token of your model

agent = Agent("concierge", initial={"bookings": []}, adopt=False)


def find_restaurants(time: str | None = None) -> dict[str, list[str]]:
    """List the restaurants that have a free table, with the times; `time` as "19:00"."""
    return {name: times for name, times in TABLES.items() if time is None or time in times}


@tool(needs_approval=True)
def book_table(restaurant: str, time: str, run: Run) -> str:
    """Book a table."""
    if time not in TABLES.get(restaurant, ()):
        raise AgentError(f"{restaurant} has no table at {time}.")
    run.state["bookings"].append({"restaurant": restaurant, "time": time})
    return "Booked."


def note_cost(message: dict[str, Any]) -> None:
    """Add to a message's metadata what its tokens cost."""
    metadata = message.get("metadata", {})
    usages = [step["usage"] for step in metadata.get("steps", [])]
    if usages:
        cost = sum(PRICES[kind] * usage.get(kind, 0) for usage in usages for kind in PRICES)
        metadata["custom"]["cost"] = cost


@agent.batch  # also the page's answers reach it: a tool's result, an approval
async def answer(run: Run) -> None:
    known = len(run.messages)
    client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))

    def ask(tools: Sequence[Tool]) -> Any:
        return client.chat.completions.create(model=MODEL, **to_openai(run, tools, system=SYSTEM))

    try:
        async with client:
            await run_tools(run, ask, [find_restaurants, book_table])
    finally:
        for message in run.state["messages"][known:]:
            note_cost(message)


if __name__ == "__main__":
    serve(agent)
