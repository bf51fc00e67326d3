"""Perform one run of an agent of the SDK: its input, its work, and its open questions."""

from __future__ import annotations

from typing import Any, Final

from agents import Agent, RunContextWrapper, Runner, RunState

from statecast_agents.frameworks.adapter.conversation import denied
from statecast_agents.frameworks.adapter.inputs import inputs
from statecast_agents.frameworks.adapter.plain import plain
from statecast_agents.frameworks.adapter.tools import page_tools
from statecast_agents.frameworks.adapter.turn import Turn

from .events import Conversation, current
from .graph import Graph
from .options import Options
from .session import MemorySession, items_of

__all__ = ["AgentRun"]

#: Names in `run.memory`: of a run of the SDK that waits, with the page's tools that it knows, and of the agent that
#: answered last.
WAITING: Final = "openai-agents:waiting"
LAST_AGENT: Final = "openai-agents:agent"


class AgentRun:
    """One run of an agent of the SDK.

    Args:
        turn: The turn that shows it.
        agent: The agent that begins a conversation.
        options: How it is run.
    """

    def __init__(self, turn: Turn, agent: Agent[Any], options: Options) -> None:
        self._turn = turn
        self._run = turn.run
        self._options = options
        self._waiting = self._run.memory.get(WAITING)
        #: what the page declares now, and what it declared when the calls were made that it answers now
        self._page_tools = {**(self._waiting or {}).get("tools", {}), **self._run.request.tools}
        self._graph = Graph(agent, page_tools(self._page_tools), self._run)
        self._new = inputs(self._run).messages
        self._context = None if options.context is None else options.context(self._run)

    async def perform(self) -> None:
        """Run the agent until it has finished, or waits for the user."""
        given = await self._given()
        if given is None:
            return
        options, run = self._options, self._run
        conversation = Conversation(self._turn, changed=self._show)
        current.set(conversation)
        result = Runner.run_streamed(
            self._graph.find(run.memory.get(LAST_AGENT)),
            given,
            context=self._context,
            session=MemorySession(run, self._new) if options.session is None else options.session(run),
            run_config=options.run_config,
            **({} if options.max_turns is None else {"max_turns": options.max_turns}),
        )
        try:
            async for event in result.stream_events():
                conversation.read(event)
        finally:
            result.cancel()  # a run whose events nobody reads would go on
        if result.interruptions:
            self._wait(result)

    async def _given(self) -> list[Any] | RunState[Any, Any] | None:
        """Return the new messages, or the run that waited, with its answers; None if there is nothing to go on with."""
        run, waiting = self._run, self._waiting
        if waiting is None or self._new:
            if waiting is not None:
                del run.memory[WAITING]
            return items_of(run, *self._new) or None
        state: RunState[Any, Any] = await RunState.from_json(
            self._graph.start, waiting["state"], context_override=RunContextWrapper(self._context)
        )
        decided = [item for item in state.get_interruptions() if self._decide(state, item)]
        if not decided:
            return None
        del run.memory[WAITING]
        return state

    def _decide(self, state: RunState[Any, Any], item: Any) -> bool:
        """Tell the SDK what the user has answered to one of its interruptions; return whether there is an answer."""
        call = self._run.messages.find_tool_call(item.call_id or "")
        if item.name in self._page_tools:
            if call is None or call.open:
                return False
            state.approve(item)
            return True
        answer = self._run.answers.get(self._question_id(item))
        if answer is None:
            return False
        if answer["approved"] is True:
            state.approve(item)
        else:
            state.reject(item, rejection_message=denied(answer))
        return True

    def _wait(self, result: Any) -> None:
        """Keep the SDK's run, and ask the user what it asks."""
        result.context_wrapper.context = None  # each run makes its own, which may hold what no JSON can
        state = result.to_state().to_json()
        self._run.memory[WAITING] = {"state": plain(state), "tools": self._page_tools}
        for item in result.interruptions:
            if item.name in self._page_tools:
                continue
            call = self._run.messages.find_tool_call(item.call_id or "")
            if call is None:
                self._run.ask(f"May the agent call {item.name}?", id=self._question_id(item))
            elif "approval" not in call.part:
                call.ask()

    def _question_id(self, item: Any) -> str:
        """Return the id of the question that asks for an approval: that on its call, if the call is shown."""
        call = self._run.messages.find_tool_call(item.call_id or "")
        approval = None if call is None else call.part.get("approval")
        return str(approval["id"]) if isinstance(approval, dict) else f"approve:{item.call_id}"

    def _show(self, agent: Agent[Any]) -> None:
        """Note which agent works now."""
        run, shown = self._run, self._options.shown
        if run.memory.get(LAST_AGENT) != agent.name:
            run.memory[LAST_AGENT] = agent.name
        if shown is not None and isinstance(run.state, dict) and run.state.get(shown) != agent.name:
            run.state[shown] = agent.name
