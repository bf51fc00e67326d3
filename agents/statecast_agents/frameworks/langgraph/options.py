"""The options for running a graph and showing its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from statecast_agents.foreign import Select
from statecast_agents.run import Run

if TYPE_CHECKING:
    from langgraph.pregel import Pregel

__all__ = ["Graph", "GraphOptions"]

#: A compiled graph, whatever its state, context, input and output are.
Graph: TypeAlias = "Pregel[Any, Any, Any, Any]"


@dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """The options of `LangGraphAgent` and `run_graph`, as documented there."""

    channel: str
    values: str | Sequence[str] | None
    select: Select | None
    custom: str | None
    subgraphs: str | None
    input: Callable[[Run, Sequence[Any]], Any] | None
    config: Mapping[str, Any] | Callable[[Run], Mapping[str, Any]] | None
    context: Callable[[Run], Any] | None

    def selects(self, key: str) -> bool:
        """Return whether a key of the graph's state is shown: all but the messages, if nothing else is said."""
        if self.select is None:
            return key != self.channel
        return bool(self.select(key)) if callable(self.select) else key in self.select

    def config_for(self, run: Run) -> dict[str, Any]:
        """Return LangGraph's config for a run."""
        given = self.config(run) if callable(self.config) else self.config or {}
        return {**given, "configurable": {"thread_id": run.thread_id, **given.get("configurable", {})}}

    def context_for(self, run: Run) -> Any:
        """Return the context of nodes and tools for a run."""
        return None if self.context is None else self.context(run)
