"""The agents of the rigs whose models are clients of providers: `run_tools` with the tools of the conformance tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from statecast import Run, ToolCall
from statecast.frameworks import Tool, copy_stream, run_tools, tool
from statecast_agents import Agent

from .tools import Tools

__all__ = ["tool_loop"]

#: Asks the model for the next answer of a conversation: the run, the tools to offer, and the messages, None being all.
Ask = Callable[..., Any]


def tool_loop(ask: Ask, tools: Tools) -> Agent:
    """Return an agent that asks a model with `ask(run, tools, messages)`."""

    async def expert(question: str, run: Run, call: ToolCall) -> str:
        """Ask an expert."""
        asked = call.messages.user(question)
        await copy_stream(run, ask(run, [], [asked]), ns=call.id)
        return call.messages[-1].text

    given: list[Any] = [tools.weather, tool(needs_approval=True)(tools.book), tools.fails, tools.block, expert]
    agent = Agent(cancel_seconds=0.5)  # `block` does not notice that it is to end

    @agent.batch
    async def answer(run: Run) -> None:
        def ask_model(offered: Sequence[Tool]) -> Any:
            return ask(run, offered, None)

        await run_tools(run, ask_model, given)

    return agent
