"""Serve an agent of the OpenAI Agents SDK (`OpenAIAgentsAgent`), or run one in a handler (`run_openai_agents`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.agent import Agent
from statecast_agents.frameworks.adapter.checks import check_functions, check_places
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.run import Run

from .options import Options

if TYPE_CHECKING:
    import agents

__all__ = ["OpenAIAgentsAgent", "run_openai_agents"]

#: An agent of the SDK, whatever its context is.
SdkAgent: TypeAlias = "agents.Agent[Any]"


class OpenAIAgentsAgent(Agent):
    """An agent of the OpenAI Agents SDK.

    Args:
        agent: The SDK's agent that begins a conversation. After a handoff, the agent that answered last continues.
        name: As in `Agent`.
        context: Returns the SDK's context for a run, which tools receive.
        session: Returns the SDK's session for a run. None: the conversation is stored in `run.memory` and follows
            edits.
        shown: The key in the thread's state for the current agent's name; None: the name is not shown.
        max_turns: The maximum number of model calls in a run; None: the SDK's default.
        run_config: The SDK's `RunConfig`.
        settings: As in `Agent`.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it.
    """

    def __init__(
        self,
        agent: SdkAgent,
        name: str = "agent",
        *,
        context: Callable[[Run], Any] | None = None,
        session: Callable[[Run], Any] | None = None,
        shown: str | None = "agent",
        max_turns: int | None = None,
        run_config: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        if not hasattr(agent, "handoffs"):
            raise TypeError(f"expected an agent of the OpenAI Agents SDK, got {agent!r:.80}")
        check_functions(context=context, session=session)
        check_places(self, shown=shown)
        self._agent = agent
        self._options = Options(
            context=context, session=session, shown=shown, max_turns=max_turns, run_config=run_config
        )
        self.batch(self._perform)

    async def _perform(self, run: Run) -> None:
        await _run(run, self._agent, self._options)


async def run_openai_agents(
    run: Run,
    agent: SdkAgent,
    *,
    context: Any = None,
    session: Any = None,
    shown: str | None = "agent",
    max_turns: int | None = None,
    run_config: Any = None,
) -> None:
    """Run an agent of the OpenAI Agents SDK for the commands of a run, and show its work in the thread.

    Call it in a function for the whole batch (`@agent.batch`), because answers to approvals and results of frontend
    tools continue the agent as messages do.

    Args:
        run: The run.
        agent: The SDK's agent that begins a conversation.
        context: The SDK's context itself, not a function.
        session: The SDK's session itself, not a function.
        shown: As in `OpenAIAgentsAgent`, like the following arguments.
        max_turns: The maximum number of model calls in a run.
        run_config: The SDK's `RunConfig`.

    Raises:
        AgentError: The agent failed with an error that users may read, such as `rate_limited`.
        Exception: Any other exception of the agent.
    """
    options = Options(
        context=lambda run: context,
        session=None if session is None else lambda run: session,
        shown=shown,
        max_turns=max_turns,
        run_config=run_config,
    )
    await _run(run, agent, options)


async def _run(run: Run, agent: SdkAgent, options: Options) -> None:
    from .performing import AgentRun

    with Turn(run) as turn:
        await foreign(run, AgentRun(turn, agent, options).perform)
