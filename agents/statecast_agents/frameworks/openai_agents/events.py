"""Show the SDK's events in the thread: those of a run, and those of agents used as tools.

The model's events are those of the Responses API, whatever the model. Item ids may repeat from turn to turn. So each
response is a separate message, and its items are identified by their position in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from statecast_agents.document import to_json
from statecast_agents.errors import NotJson
from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.plain import plain
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.model_clients.openai_responses import ResponsesReader
from statecast_agents.values import Json

__all__ = ["Conversation", "current", "show_sub_agent"]


class Conversation:
    """Copies the events of one agent's run into the thread, or into the call that it works for.

    Args:
        turn: The turn that shows it.
        ns: The id of the call; "": the thread.
        changed: Called with the agent that works now.
    """

    def __init__(self, turn: Turn, ns: str = "", changed: Callable[[Any], None] = lambda agent: None) -> None:
        self._turn = turn
        self._ns = ns
        self._changed = changed
        self._handoffs: frozenset[str] = frozenset()  #: the names of the current agent's handoffs, which are no tools
        self._reader: ResponsesReader | None = None
        self.inner: dict[str, Conversation] = {}  #: of agents that work as tools, by the ids of their calls

    def read(self, event: Any) -> None:
        """Copy one event."""
        match event.type:
            case "raw_response_event":
                self._read_model(event.data)
            case "run_item_stream_event" if event.name == "tool_output":
                self._set_result(event.item)
            case "agent_updated_stream_event":
                self._handoffs = frozenset(map(_handoff_name, event.new_agent.handoffs))
                self._changed(event.new_agent)

    def _read_model(self, event: Any) -> None:
        if self._reader is None or event.type == "response.created":
            self._reader = ResponsesReader(Answer(self._turn, self._ns), hidden=self._handoffs, keeps=False)
        self._reader.read(event)
        if event.type in ("response.completed", "response.incomplete"):
            self._reader.close()
            self._reader = None

    def _set_result(self, item: Any) -> None:
        call_id = str(_field(item.raw_item, "call_id") or "")
        call = self._turn.find_call(call_id, self._ns)
        if call is not None and call.open:
            approval = call.part.get("approval")
            denied = isinstance(approval, Mapping) and approval.get("approved") is False
            self._turn.result(call_id, _json(item.output), is_error=denied, ns=self._ns)


#: The conversation of the run that goes on, for agents that work as its tools.
current: Final[ContextVar[Conversation | None]] = ContextVar("statecast_openai_agents", default=None)


async def show_sub_agent(event: Mapping[str, Any]) -> None:
    """Show an agent used as a tool inside its call: `agent.as_tool("search", "…", on_stream=show_sub_agent)`."""
    outer, call = current.get(), event["tool_call"]
    if outer is not None and call is not None:
        inner = outer.inner.get(call.call_id)
        if inner is None:
            inner = outer.inner[call.call_id] = Conversation(outer._turn, call.call_id)
        inner.read(event["event"])


def _handoff_name(handoff: Any) -> str:
    """Return the name of the call that hands over, for an agent or the SDK's `Handoff`."""
    from agents import Handoff

    return str(handoff.tool_name if isinstance(handoff, Handoff) else Handoff.default_tool_name(handoff))


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)


def _json(value: Any) -> Json:
    try:
        return to_json(value)
    except NotJson:
        return plain(value)
