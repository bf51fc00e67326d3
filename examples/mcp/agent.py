"""A waiter whose tools are those of an MCP server, which asks the user, reports progress, and has an app.

pip install 'statecast[openai,mcp]'
export OPENAI_API_KEY=…            # not needed by most local servers
export OPENAI_BASE_URL=…           # left out: OpenAI's own; or for instance http://127.0.0.1:11434/v1
export OPENAI_MODEL=…              # default: gpt-5-mini
statecast serve examples.mcp.agent:agent         in the root of the checkout
python examples/mcp/agent.py                     the same

README.md in this folder says what to try.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters
from openai import AsyncOpenAI

from statecast import Agent, Run, serve
from statecast.frameworks import Tool, open_mcp, run_tools, to_openai

SYSTEM = "You are the waiter of a restaurant. Use your tools to show the menu, to book, and to cook."

# A URL would do as well: SERVER = "https://example.com/mcp"
SERVER = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("server.py"))])

agent = Agent("waiter")


@agent.batch  # answers to the server's questions reach it as well
async def answer(run: Run) -> None:
    client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))
    model = os.environ.get("OPENAI_MODEL", "gpt-5-mini")

    def ask(tools: Sequence[Tool]) -> Any:
        return client.chat.completions.create(model=model, **to_openai(run, tools, system=SYSTEM))

    async with client, open_mcp(SERVER, name="restaurant") as tools:
        await run_tools(run, ask, tools)


if __name__ == "__main__":
    serve(agent)
