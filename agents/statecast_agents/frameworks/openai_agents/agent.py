"""`OpenAIAgentsAgent`: an agent of the OpenAI Agents SDK; `run_openai_agents`: the same for a handler of one's own."""

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
        agent: The SDK's agent that begins a conversation. After a handoff, the agent that answered last goes on.
        name: As in `Agent`.
        context: Makes the SDK's context, which its tools receive, for a run.
        session: Makes the SDK's session for a run. None: the conversation is kept in `run.memory`, and goes back with
            edits.
        shown: The field of the thread's state that has the current agent's name; None: none has.
        max_turns: How often a run asks the model at most; None: as often as the SDK allows.
        run_config: The SDK's `RunConfig`.
        settings: As in `Agent`.

    Raises:
        TypeError, ValueError: One of these makes no sense; the text names it.
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
    """Run an agent of the OpenAI Agents SDK for the commands of a run, and show in the thread what it does.

    Call it in a function over the batch (`@agent.batch`), because answers to approvals and to the page's tools continue
    the work like messages.

    Args:
        run: The run.
        agent: The SDK's agent that begins a conversation.
        context: The SDK's context itself.
        session: The SDK's session itself.
        shown: As in `OpenAIAgentsAgent`, like the following.
        max_turns: How often a run asks the model at most.
        run_config: The SDK's `RunConfig`.

    Raises:
        AgentError: The agent failed for a reason that users may read, such as `rate_limited`.
        Exception: Whatever else the agent raises.
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
