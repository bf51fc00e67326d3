"""A helpdesk made with Microsoft Agent Framework. Its tickets are in the state, and it asks before a restart.

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


def open_ticket(server: str, problem: str) -> str:
    """Open a ticket for a server."""
    tickets = current_run().state.setdefault("tickets", [])
    tickets.append({"server": server, "problem": problem, "solved": False})
    return f"Opened ticket {len(tickets)}."


@tool(approval_mode="always_require")
def restart(server: str) -> str:
    """Restart a server, which solves its tickets."""
    for ticket in current_run().state.get("tickets", []):
        if ticket["server"] == server:
            ticket["solved"] = True
    return f"Restarted {server}."


client = OpenAIChatClient(model=MODEL, api_key=os.environ.get("OPENAI_API_KEY", "missing"))
expert = Agent(
    client,
    "You know mail servers. Answer in two sentences.",
    name="ask_expert",
    description="Ask the expert for mail servers.",
)
helpdesk = Agent(
    client,
    "You are a helpdesk. Ask the expert, open a ticket for every problem, and restart the server if that helps.",
    name="helpdesk",
    tools=[open_ticket, restart, expert.as_tool(arg_name="question", stream_callback=show_agent_updates)],
)

agent = MicrosoftAgent(helpdesk, "helpdesk")

if __name__ == "__main__":
    serve(agent)
