"""The options for running an agent of the SDK."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statecast_agents.run import Run

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an agent of the SDK is run; see `OpenAIAgentsAgent`."""

    context: Callable[[Run], Any] | None = None  #: makes the SDK's context
    session: Callable[[Run], Any] | None = None  #: makes the SDK's session; None: one over `run.memory`
    shown: str | None = "agent"  #: the field of the state that has the current agent's name
    max_turns: int | None = None  #: None: as many as the SDK allows
    run_config: Any = None  #: the SDK's `RunConfig`
