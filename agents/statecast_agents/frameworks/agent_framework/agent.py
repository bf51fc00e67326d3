"""`MicrosoftAgent`: an agent of Microsoft Agent Framework; `run_microsoft_agent`: within a handler of one's own."""

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
        agent: The framework's `Agent`, or what a workflow's `as_agent()` returns.
        name: As in `Agent`.
        options: Makes further arguments of the agent's `run` for a run, such as `options` or `middleware`.
        settings: As in `Agent`. With `restartable=True`, a run that a crash cut off begins anew, and its tools are
            called again.

    Raises:
        TypeError, ValueError: One of these makes no sense; the text names it.
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
    """Run an agent of Microsoft Agent Framework for the commands of a run, and show in the thread what it does.

    Call it in a function over the batch (`@agent.batch`), because answers to approvals and to the page's tools continue
    the work like messages.

    Args:
        run: The run.
        agent: The framework's agent.
        options: Arguments of the agent's `run`, such as `options` or `middleware`.

    Returns:
        The agent's response; None if there is nothing to do yet, because the user has more calls to answer.

    Raises:
        AgentError: The agent failed for a reason that users may read, such as `rate_limited`.
        Exception: Whatever else the agent raises.
    """
    from .performing import AgentRun

    with Turn(run) as turn:
        return await foreign(run, AgentRun(turn, agent, options).perform)


def show_agent_updates(update: AgentResponseUpdate) -> None:
    """Show an agent that works as a tool under its call: `expert.as_tool(stream_callback=show_agent_updates)`.

    Outside of a run it shows nothing.
    """
    updates = working.get()
    if updates is not None:
        updates.copy(update)
