"""The options for running an agent of ADK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from statecast_agents.run import Run

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an agent of ADK is run; see `GoogleADKAgent`."""

    values: str | None = None  #: the field of the state that has the session's state
    shown: str | None = "agent"  #: the field of the state that has the current agent's name
    session_service: Any = None  #: None: one over `run.memory`
    services: Mapping[str, Any] = field(default_factory=dict)  #: further arguments of ADK's `Runner`
    user_id: Callable[[Run], str] | None = None  #: ADK's id of the user
    run_config: Any = None  #: ADK's `RunConfig`
