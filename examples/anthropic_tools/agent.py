"""A bookkeeper made with Anthropic's client. It shows its thinking, and asks before it pays.

pip install 'statecast[anthropic]'
export ANTHROPIC_API_KEY=…
export ANTHROPIC_MODEL=…           # default: claude-sonnet-5-5
statecast serve examples.anthropic_tools.agent:agent      in the root of the checkout
python examples/anthropic_tools/agent.py                  the same

README.md in this folder says what to try.
"""

import os
from collections.abc import Sequence
from typing import Any

from anthropic import AsyncAnthropic

from statecast import Agent, AgentError, Run, serve
from statecast.frameworks import Tool, run_tools, to_anthropic, tool
from statecast.state import Json

SYSTEM = "You keep the books. Read the open bills before you answer. Pay what the user wants paid."
BILLS = [{"number": 1, "from": "Power & Light", "amount": 120}, {"number": 2, "from": "Roof Repairs", "amount": 4800}]

agent = Agent("bookkeeper", initial={"bills": BILLS}, adopt=False)  # no page makes up bills


def open_bills(run: Run) -> list[dict[str, Json]]:
    """List the bills that are not paid."""
    return list(run.state["bills"])


@tool(needs_approval=True)
def pay(number: int, run: Run) -> str:
    """Pay a bill."""
    bills = run.state["bills"]
    place = next((place for place, bill in enumerate(bills) if bill["number"] == number), None)
    if place is None:
        raise AgentError(f"There is no open bill {number}.")
    del bills[place]
    return "Paid."


@agent.batch  # also the page's answers reach it: a tool's result, an approval
async def answer(run: Run) -> None:
    client = AsyncAnthropic()
    model = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5")

    def ask(tools: Sequence[Tool]) -> Any:
        return client.messages.create(
            model=model,
            max_tokens=8000,
            thinking={"type": "adaptive", "display": "summarized"},
            **to_anthropic(run, tools, system=SYSTEM),
        )

    async with client:
        await run_tools(run, ask, [open_bills, pay])


if __name__ == "__main__":
    serve(agent)
