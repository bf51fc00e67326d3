"""`GoogleADKAgent`: an agent of Google ADK; `run_google_adk`: the same for a handler of one's own."""

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
        agent: ADK's root agent, or its `App`, whose plugins and settings then hold.
        name: As in `Agent`.
        values: The field of the thread's state that gets what tools and agents change in the state of ADK's session;
            keys with a prefix, such as `user:`, are left out. None: none does.
        shown: The field of the thread's state that has the current agent's name; None: none has.
        session_service: ADK's session service, whose sessions have the threads' ids. None: the session is kept in
            `run.memory`. Both go back with edits.
        services: Further arguments of ADK's `Runner`, such as `artifact_service` or `memory_service`.
        user_id: Makes ADK's id of the user for a run; default: `run.user` if it is a string, else "user".
        run_config: ADK's `RunConfig`. Its answers stream, whatever it says; synchronous tools run in threads, unless it
            has a `tool_thread_pool_config`.
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
    """Run an agent of Google ADK for the commands of a run, and show in the thread what it does.

    Call it in a function over the batch (`@agent.batch`), because answers to confirmations and to the page's tools
    continue the work like messages.

    Args:
        run: The run.
        agent: ADK's root agent, or its `App`.
        values: As in `GoogleADKAgent`, like the following.
        shown: The field of the thread's state that has the current agent's name.
        session_service: ADK's session service.
        services: Further arguments of ADK's `Runner`.
        user_id: ADK's id of the user itself.
        run_config: ADK's `RunConfig`.

    Raises:
        AgentError: The agent failed for a reason that users may read, such as `rate_limited`.
        Exception: Whatever else the agent raises.
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
