"""Serve a Microsoft Agent Framework agent (`MicrosoftAgent`), or run one in a handler (`run_microsoft_agent`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.agent import Agent
from statecast_agents.frameworks.adapter.checks import check_functions
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.run import Run

from .updates import working

if TYPE_CHECKING:
    from agent_framework import AgentResponse, AgentResponseUpdate, SupportsAgentRun

__all__ = ["MicrosoftAgent", "run_microsoft_agent", "show_agent_updates"]

#: What the framework runs: an `Agent`, or a workflow as an agent.
Framework: TypeAlias = "SupportsAgentRun"


class MicrosoftAgent(Agent):
    """An agent of Microsoft Agent Framework.

    Args:
        agent: The framework's `Agent`, or the result of a workflow's `as_agent()`.
        name: As in `Agent`.
        options: Returns further arguments of the agent's `run` for a run, such as `options` or `middleware`.
        settings: As in `Agent`. With `restartable=True`, a run cut off by a crash starts over, and its tools are called
            again.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it.
    """

    def __init__(
        self,
        agent: Framework,
        name: str = "agent",
        *,
        options: Callable[[Run], Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        if not callable(getattr(agent, "create_session", None)):
            raise TypeError(f"expected an agent of Microsoft Agent Framework, got {agent!r:.80}")
        check_functions(options=options)
        self._agent = agent
        self._options = options
        self.batch(self._perform)

    async def _perform(self, run: Run) -> None:
        await run_microsoft_agent(run, self._agent, **(self._options(run) if self._options else {}))


async def run_microsoft_agent(run: Run, agent: Framework, **options: Any) -> AgentResponse[Any] | None:
    """Run a Microsoft Agent Framework agent for the commands of a run, and show its work in the thread.

    Call it in a function for the whole batch (`@agent.batch`), because answers to approvals and results of frontend
    tools continue the agent as messages do.

    Args:
        run: The run.
        agent: The framework's agent.
        options: Arguments of the agent's `run`, such as `options` or `middleware`.

    Returns:
        The agent's response; None if the user still has calls to answer.

    Raises:
        AgentError: The agent failed with an error that users may read, such as `rate_limited`.
        Exception: Any other exception of the agent.
    """
    from .performing import AgentRun

    with Turn(run) as turn:
        return await foreign(run, AgentRun(turn, agent, options).perform)


def show_agent_updates(update: AgentResponseUpdate) -> None:
    """Show an agent used as a tool inside its call: `expert.as_tool(stream_callback=show_agent_updates)`.

    Outside a run, it shows nothing.
    """
    updates = working.get()
    if updates is not None:
        updates.copy(update)
