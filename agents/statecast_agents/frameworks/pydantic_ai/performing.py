"""Perform one run of an agent: its events go to the turn, its history to the run's memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from pydantic_ai import AgentRunResult, DeferredToolRequests, RunContext, ToolDefinition
from pydantic_ai.agent import AbstractAgent, EventStreamHandler
from pydantic_ai.capabilities import Hooks
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import AgentStreamEvent

from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.ids import new_id
from statecast_agents.message import AssistantMessage

from .events import Events
from .history import History, Request
from .input import page_tools

__all__ = ["AgentRun", "show_sub_agent"]

#: The turn of the run that the caller belongs to, for the events of sub-agents.
_turn: Final[ContextVar[Turn | None]] = ContextVar("statecast_pydantic_turn", default=None)


class AgentRun:
    """One run of an agent.

    Args:
        turn: The turn.
        agent: The agent.
        history: The history of the thread.
        options: The caller's arguments of the agent's `run_stream_events`.
    """

    def __init__(
        self, turn: Turn, agent: AbstractAgent[Any, Any], history: History, options: Mapping[str, Any]
    ) -> None:
        self._turn = turn
        self._agent = agent
        self._history = history
        self._options = options
        self._output_tools: set[str] = set()  #: names
        #: by the calls' ids, the activities of tools that have returned, until their results are shown
        self._returned: dict[str, contextlib.ExitStack] = {}

    async def perform(self, request: Request) -> AgentRunResult[Any]:
        """Run the agent, and store its history, whatever becomes of it."""
        _turn.set(self._turn)
        last = self._turn.run.messages[-1]
        message_id = last.id if isinstance(last, AssistantMessage) else new_id("msg")
        if request.parts is not None and isinstance(last, AssistantMessage):
            del last.message["parts"][request.parts :]
        events = Events(self._turn, message_id, self._output_tools)
        stream = None
        try:
            async with self._agent.run_stream_events(
                request.prompt,
                message_history=request.history,
                deferred_tool_results=request.results,
                **self._arguments(),
            ) as stream:
                async for event in stream:
                    if event.event_kind == "agent_run_result":
                        result = event.result
                        continue
                    if event.event_kind == "part_start" and event.index == 0:
                        self._history.save(stream.all_messages(), running=events.size)
                    events.copy(event)
                    if event.event_kind == "function_tool_result":
                        self._end_activity(event.tool_call_id)
            if isinstance(result.output, DeferredToolRequests):
                self._history.ask(self._turn, result.output)
            else:
                events.show_output(result.output)
            return result
        finally:
            for call_id in [*self._returned]:
                self._end_activity(call_id)
            # Only now does the history of a stopped run have the answer as far as it came.
            with contextlib.suppress(UserError):  # the run had not begun
                if stream is not None:
                    self._history.save(stream.all_messages())
                    events.record(stream.all_messages())

    def _arguments(self) -> dict[str, Any]:
        """Return the caller's arguments, with the page's tools and our hooks added."""
        run, given = self._turn.run, self._options
        page = page_tools(run.request.tools)
        hooks = Hooks[Any](prepare_output_tools=self._note_output_tools, tool_execute=self._execute)
        return {
            **given,
            "output_type": [given.get("output_type") or self._agent.output_type, DeferredToolRequests],
            "toolsets": [*(given.get("toolsets") or ()), *([page] if page else ())],
            "capabilities": [*(given.get("capabilities") or ()), hooks],
        }

    async def _note_output_tools(self, ctx: RunContext[Any], definitions: list[ToolDefinition]) -> list[ToolDefinition]:
        self._output_tools.update(definition.name for definition in definitions)
        return definitions

    async def _execute(
        self, ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any, handler: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """Execute a tool as an activity, so that it may wait while others work.

        The activity goes on until the result is shown: the page's response ends when all others wait.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._turn.run.activity())
            result = await handler(args)
            self._returned[call.tool_call_id] = stack.pop_all()
        return result

    def _end_activity(self, call_id: str) -> None:
        activity = self._returned.pop(call_id, None)
        if activity is not None:
            activity.close()


def show_sub_agent(ctx: RunContext[Any]) -> EventStreamHandler[Any]:
    """Return a handler of a sub-agent's events that shows them under the call of a tool.

    Args:
        ctx: The tool's context.
    """
    turn = _turn.get()
    call = None if turn is None or ctx.tool_call_id is None else turn.run.messages.find_tool_call(ctx.tool_call_id)
    output_tools: set[str] = set()
    events: Events | None = None

    async def handle(inner: RunContext[Any], stream: AsyncIterable[AgentStreamEvent]) -> None:
        nonlocal events
        if turn is not None and call is not None and events is None:
            if isinstance(inner.prompt, str):
                call.messages.user(inner.prompt)
            events = Events(turn, new_id("msg"), output_tools, ns=call.id)
        output_tools.update(name for name, tool in inner.tools.items() if tool.kind == "output")
        async for event in stream:
            if events is not None:
                events.copy(event)

    return handle
