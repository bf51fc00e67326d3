"""A support desk made with the OpenAI Agents SDK: two agents, a third as a tool, and a refund that needs approval.

pip install 'statecast[openai-agents]'
export OPENAI_API_KEY=…
export MODEL=…                                           # default: gpt-5-mini
statecast serve examples.openai_agents.agent:agent       in the root of the checkout
python examples/openai_agents/agent.py                   the same

README.md in this folder says what to try.
"""

import os

from agents import Agent, RunContextWrapper, function_tool

from statecast import Run, serve
from statecast.frameworks import OpenAIAgentsAgent, show_sub_agent

MODEL = os.environ.get("MODEL", "gpt-5-mini")


@function_tool(needs_approval=True)
def refund(context: RunContextWrapper[Run], order: str, amount: int) -> str:
    """Refund a part of an order."""
    state = context.context.state  # the thread's state: pages see what tools change here
    state.setdefault("refunds", []).append({"order": order, "amount": amount})
    return "Refunded."


policy = Agent(name="Policy", model=MODEL, instructions="Answer in one sentence: refunds are possible for 30 days.")
billing = Agent(
    name="Billing",
    model=MODEL,
    instructions="You handle refunds. Ask for the policy first.",
    tools=[refund, policy.as_tool("ask_policy", "Ask what the policy says.", on_stream=show_sub_agent)],
)
desk = Agent(
    name="Desk",
    model=MODEL,
    instructions="You greet customers. Hand over to Billing for money matters.",
    handoffs=[billing],
)

agent = OpenAIAgentsAgent(desk, "support", context=lambda run: run)

if __name__ == "__main__":
    serve(agent)
