"""Serve a Pydantic AI agent (`PydanticAgent`), or run one in a handler (`run_pydantic_ai`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.agent import Agent
from statecast_agents.frameworks.adapter.checks import check_functions
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.run import Run

if TYPE_CHECKING:
    from pydantic_ai import AgentRunResult, RunContext
    from pydantic_ai.agent import AbstractAgent, EventStreamHandler

__all__ = ["PydanticAgent", "run_pydantic_ai", "sub_agent_events"]

#: An agent of Pydantic AI, whatever its dependencies and its output are.
Framework: TypeAlias = "AbstractAgent[Any, Any]"


class PydanticAgent(Agent):
    """An agent of Pydantic AI, served by Statecast.

    Args:
        agent: The agent.
        name: As in `Agent`.
        deps: Returns the agent's dependencies for a run: `deps=lambda run: Deps(state=run.state)`. Tools may change the
            state in them.
        options: Returns further arguments of the agent's `run_stream_events` for a run, such as `model_settings`,
            `instructions`, `usage_limits` or `toolsets`.
        settings: As in `Agent`. With `restartable=True`, a run cut off by a crash continues after the model's last
            complete response; tools called since then are called again.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it.
    """

    def __init__(
        self,
        agent: Framework,
        name: str = "agent",
        *,
        deps: Callable[[Run], Any] | None = None,
        options: Callable[[Run], Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        if not callable(getattr(agent, "run_stream_events", None)):
            raise TypeError(f"expected an agent of Pydantic AI, got {agent!r:.80}")
        if self.messages is None:
            raise ValueError("expected a place for the messages, got messages=None: the agent's answers go there")
        check_functions(deps=deps, options=options)
        self._agent = agent
        self._deps = deps
        self._options = options
        self.batch(self._perform)

    async def _perform(self, run: Run) -> None:
        given = {} if self._deps is None else {"deps": self._deps(run)}
        await run_pydantic_ai(run, self._agent, **given, **(self._options(run) if self._options else {}))


async def run_pydantic_ai(run: Run, agent: Framework, **options: Any) -> AgentRunResult[Any] | None:
    """Run a Pydantic AI agent for the new messages or answers of a run, and show its work in the thread.

    Call it in a function for the whole batch (`@agent.batch`), because answers continue the agent as messages do.

    Args:
        run: The run.
        agent: The agent.
        options: Arguments of the agent's `run_stream_events`, such as `deps` or `model_settings`.

    Returns:
        The agent's result; None if the user still has calls to answer.

    Raises:
        AgentError: The agent failed with an error that users may read, such as `rate_limited`.
        Exception: Any other exception of the agent.
    """
    from .history import History
    from .performing import AgentRun

    history = History(run)
    request = history.request()
    if request is None:
        return None
    with Turn(run) as turn:
        return await foreign(run, AgentRun(turn, agent, history, options).perform, request)


def sub_agent_events(ctx: RunContext[Any]) -> EventStreamHandler[Any]:
    """Return an `event_stream_handler` that shows a sub-agent's work inside the tool call that runs it.

    Pass it to the sub-agent's `run`: `await helper.run(prompt, event_stream_handler=sub_agent_events(ctx))`. The
    sub-agent's texts and tool calls appear in the `messages` of the call. Outside a run, it shows nothing.

    Args:
        ctx: The context of the tool that runs the sub-agent.
    """
    from .performing import show_sub_agent

    return show_sub_agent(ctx)
