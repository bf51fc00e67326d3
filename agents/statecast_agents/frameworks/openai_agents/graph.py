"""The agents that can work in a run: the first one, and those that it can hand over to, with the frontend tools.

A call to a frontend tool waits like a call that needs approval: the run ends with the call open. When the page has
answered, the agent continues and "calls" a function that returns the page's answer.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any

from agents import Agent, FunctionTool, Handoff

from statecast_agents.frameworks.adapter.conversation import result_text
from statecast_agents.frameworks.adapter.tools import Tool
from statecast_agents.run import Run

__all__ = ["Graph"]


class Graph:
    """The agents of a run, each with the page's tools beside its own; a tool of its own keeps its name to itself.

    Args:
        start: The agent that begins a conversation.
        tools: The page's tools.
        run: The run that answers their calls.
    """

    def __init__(self, start: Agent[Any], tools: Sequence[Tool], run: Run) -> None:
        self._tools = [_function_tool(tool, run) for tool in tools]
        self._clones: dict[int, Agent[Any]] = {}  #: by the identities of the app's own
        self.start = self._with_tools(start)

    def find(self, name: str | None) -> Agent[Any]:
        """Return the agent with that name; the one that begins if none has it."""
        pending, seen = [self.start], {id(self.start)}
        for agent in pending:
            if agent.name == name:
                return agent
            for handoff in agent.handoffs:
                target = handoff if isinstance(handoff, Agent) else _target(handoff)
                if target is not None and id(target) not in seen:
                    seen.add(id(target))
                    pending.append(target)
        return self.start

    def _with_tools(self, agent: Agent[Any]) -> Agent[Any]:
        if not self._tools:
            return agent
        clone = self._clones.get(id(agent))
        if clone is None:
            names = {tool.name for tool in agent.tools}
            added = [tool for tool in self._tools if tool.name not in names]
            clone = self._clones[id(agent)] = agent.clone(tools=[*agent.tools, *added])
            clone.handoffs = [*map(self._handoff, agent.handoffs)]  # which may lead back to it
        return clone

    def _handoff(self, handoff: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | Handoff[Any, Any]:
        if isinstance(handoff, Agent):
            return self._with_tools(handoff)
        invoke, target = handoff.on_invoke_handoff, _target(handoff)

        async def on_invoke_handoff(context: Any, args: str) -> Agent[Any]:
            return self._with_tools(await invoke(context, args))

        copy = dataclasses.replace(handoff, on_invoke_handoff=on_invoke_handoff)
        if target is not None:
            copy._agent_ref = weakref.ref(self._with_tools(target))
        return copy


def _target(handoff: Handoff[Any, Any]) -> Agent[Any] | None:
    """Return the agent that a handoff leads to; None if only calling it would tell."""
    reference = getattr(handoff, "_agent_ref", None)  # the SDK restores its own runs by it
    return None if reference is None else reference()


def _function_tool(tool: Tool, run: Run) -> FunctionTool:
    async def on_invoke_tool(context: Any, args: str) -> str:
        call = run.messages.find_tool_call(context.tool_call_id)
        return "" if call is None else result_text(call)

    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.parameters,
        on_invoke_tool=on_invoke_tool,
        strict_json_schema=False,
        needs_approval=True,
    )
