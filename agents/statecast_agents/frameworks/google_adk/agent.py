"""Serve a Google ADK agent (`GoogleADKAgent`), or run one in a handler (`run_google_adk`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.agent import Agent
from statecast_agents.frameworks.adapter.checks import check_functions, check_places
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.run import Run

from .options import Options

if TYPE_CHECKING:
    from google.adk.agents import BaseAgent
    from google.adk.apps import App

__all__ = ["GoogleADKAgent", "run_google_adk"]

#: What ADK runs: an agent, or an app, which also has plugins.
Framework: TypeAlias = "BaseAgent | App"


class GoogleADKAgent(Agent):
    """An agent of Google ADK.

    Args:
        agent: ADK's root agent, or its `App`, with its plugins and settings.
        name: As in `Agent`.
        values: The key in the thread's state for what tools and agents change in the state of ADK's session. Keys with
            a prefix, such as `user:`, are omitted. None: the session's state is not shown.
        shown: The key in the thread's state for the current agent's name; None: the name is not shown.
        session_service: ADK's session service, whose sessions have the threads' ids. None: the session is stored in
            `run.memory`. Both follow edits.
        services: Further arguments of ADK's `Runner`, such as `artifact_service` or `memory_service`.
        user_id: Returns ADK's user id for a run; default: `run.user` if it is a string, else "user".
        run_config: ADK's `RunConfig`. Answers always stream. Synchronous tools run in worker threads, in the pool of
            its `tool_thread_pool_config` or of ADK's default one.
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
        values: str | None = None,
        shown: str | None = "agent",
        session_service: Any = None,
        services: Mapping[str, Any] | None = None,
        user_id: Callable[[Run], str] | None = None,
        run_config: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        if not hasattr(getattr(agent, "root_agent", agent), "sub_agents"):
            raise TypeError(f"expected an agent or an App of Google ADK, got {agent!r:.80}")
        check_functions(user_id=user_id)
        check_places(self, values=values, shown=shown)
        self._agent = agent
        self._options = Options(
            values=values,
            shown=shown,
            session_service=session_service,
            services=services or {},
            user_id=user_id,
            run_config=run_config,
        )
        self.batch(self._perform)

    async def _perform(self, run: Run) -> None:
        await _run(run, self._agent, self._options)


async def run_google_adk(
    run: Run,
    agent: Framework,
    *,
    values: str | None = None,
    shown: str | None = "agent",
    session_service: Any = None,
    services: Mapping[str, Any] | None = None,
    user_id: str | None = None,
    run_config: Any = None,
) -> None:
    """Run a Google ADK agent for the commands of a run, and show its work in the thread.

    Call it in a function for the whole batch (`@agent.batch`), because answers to confirmations and results of frontend
    tools continue the agent as messages do.

    Args:
        run: The run.
        agent: ADK's root agent, or its `App`.
        values: As in `GoogleADKAgent`, like the following arguments.
        shown: The key in the thread's state for the current agent's name.
        session_service: ADK's session service.
        services: Further arguments of ADK's `Runner`.
        user_id: ADK's user id itself, not a function.
        run_config: ADK's `RunConfig`.

    Raises:
        AgentError: The agent failed with an error that users may read, such as `rate_limited`.
        Exception: Any other exception of the agent.
    """
    options = Options(
        values=values,
        shown=shown,
        session_service=session_service,
        services=services or {},
        user_id=None if user_id is None else lambda run: user_id,
        run_config=run_config,
    )
    await _run(run, agent, options)


async def _run(run: Run, agent: Framework, options: Options) -> None:
    from .performing import AgentRun

    with Turn(run) as turn:
        await foreign(run, AgentRun(turn, agent, options).perform)
