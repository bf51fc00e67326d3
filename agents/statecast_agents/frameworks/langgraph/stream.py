"""Show a graph's stream in a run: tokens, calls and results as they arrive, and the state after each step.

Rule: a token costs a few dictionary look-ups. Work that depends on the length of the conversation is done once a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message_list import Messages
from statecast_agents.values import Json

from .messages import PageMessages, page_parts, result_fields
from .namespaces import Namespaces
from .options import Graph, GraphOptions

__all__ = ["MODES", "GraphStream"]

#: What a graph is asked to stream.
MODES: Final = ("messages", "values", "tasks", "custom")

#: How LangChain's own ids of messages begin. A provider that names its message late changes one in its middle.
OWN_ID: Final = "lc_run-"

#: How the turn's namespaces of subgraphs begin that no tool call has begun.
SUBGRAPH: Final = "subgraph "


class GraphStream:
    """Copies the parts of a graph's stream (`version="v2"`) into a run.

    Args:
        turn: Where the messages go.
        graph: The graph.
        options: What of it is shown.
    """

    def __init__(self, turn: Turn, graph: Graph, options: GraphOptions) -> None:
        self._namespaces = Namespaces(graph, options.channel)
        self._turn = turn
        self._run = turn.run
        self._options = options
        self._places: dict[tuple[str, ...], str | None] = {}  #: the namespaces of the turn, by those of the graph
        self._chunks: dict[tuple[str, str], _Streamed] = {}  #: by the checkpoint's namespace and the message's id
        self.interrupted = False  #: whether a task has interrupted the graph
        self._unnamed: dict[str, _Streamed] = {}  #: those under way with an id of LangChain's own
        self._pages: dict[tuple[str, ...], PageMessages] = {}
        #: the messages of sub-agents and subgraphs, by where they are shown, and by the graph's namespace
        self._inner: dict[str, dict[tuple[str, ...], list[dict[str, Json]]]] = {}

    def call_of(self, interrupt: str) -> str | None:
        """Return the tool call that an interrupt came from, if it came from one."""
        return self._namespaces.interrupted_call(interrupt)

    def copy(self, part: Mapping[str, Any]) -> None:
        """Copy one part of the stream."""
        match part["type"]:
            case "messages":
                message, metadata = part["data"]
                self._message(part["ns"], message, metadata)
            case "values":
                self._state(part["ns"], part["data"], interrupted=bool(part["interrupts"]))
            case "tasks":
                self._namespaces.note_task(part["data"])
            case "custom" if self._options.custom is not None:
                self._show_custom(self._options.custom, part["data"])

    def show(self, state: Any) -> None:
        """Show the state of the main graph."""
        self._state((), state, interrupted=False)

    def _message(self, ns: tuple[str, ...], message: BaseMessage, metadata: Mapping[str, Any]) -> None:
        if type(message) is AIMessageChunk:
            place = metadata["langgraph_checkpoint_ns"]
            streamed = self._chunks.get((place, message.id or ""))
            if streamed is None:
                streamed = self._begin(ns, place, message.id or "")
            if streamed.ns is not None:
                self._chunk(message, streamed, streamed.ns)
            if message.chunk_position == "last":
                self._unnamed.pop(place, None)
            return
        space = self._place(ns)
        if space is None:
            return
        if isinstance(message, ToolMessage):
            fields = result_fields(message)
            if fields:
                result, is_error = fields.pop("result"), fields.pop("isError")
                self._turn.result(message.tool_call_id, result, is_error=is_error, ns=space, **fields)
        elif isinstance(message, AIMessage) and message.id:
            self._turn.replace(message.id, page_parts(message), space)

    def _begin(self, ns: tuple[str, ...], place: str, id: str) -> _Streamed:
        own = id.startswith(OWN_ID)
        streamed = None if own else self._unnamed.pop(place, None)
        if streamed is None:
            streamed = _Streamed(id, self._place(ns))
        else:
            if streamed.ns is not None:
                self._turn.rename(streamed.id, id, streamed.ns)
            streamed.id = id
        if own:
            self._unnamed[place] = streamed
        self._chunks[place, id] = streamed
        return streamed

    def _chunk(self, message: AIMessageChunk, streamed: _Streamed, ns: str) -> None:
        turn, id = self._turn, streamed.id
        content = message.content
        if type(content) is str and not message.additional_kwargs:
            turn.text(id, content, None, ns)
        else:
            blocks: list[Any] = message.content_blocks
            for block in blocks:
                if block["type"] == "text":
                    turn.text(id, block.get("text"), block.get("index"), ns)
                elif block["type"] == "reasoning":
                    turn.reasoning(id, block.get("reasoning"), block.get("index"), ns)
        for call in message.tool_call_chunks:
            key = streamed.key(call["index"], call["id"])
            if key not in streamed.calls and (call["id"] or call["name"]):
                streamed.calls.append(key)
                turn.call(id, call["id"], call["name"] or "", part=key, ns=ns)
            if key in streamed.calls:
                turn.args(id, call["args"], key, ns)
        if message.chunk_position == "last":
            for key in streamed.calls:
                turn.finish_args(id, key, ns)

    def _state(self, ns: tuple[str, ...], state: Any, *, interrupted: bool) -> None:
        if not ns and state is not None:
            self._show_values(state)
        self.interrupted = self.interrupted or interrupted
        if interrupted:  # its messages lack what the tasks beside the one that interrupts have said
            return
        messages = self._messages(ns, state)
        if not ns:
            self._turn.commit(messages)
            return
        place = self._place(ns) if messages or ns in self._places else None
        if place and (self._namespaces.is_agent(ns) or place.startswith(SUBGRAPH)):
            inner = self._inner.setdefault(place, {})
            inner[ns] = messages
            self._turn.commit([message for each in inner.values() for message in each], place)

    def _show_values(self, state: Any) -> None:
        """Put the graph's state into the thread's. That of a function may be any value, and has no keys to select."""
        path = self._options.values
        if path is not None:
            plain = isinstance(state, str | bytes | int | float | list | tuple | set)
            self._run.put(path, state, None if plain else self._options.selects)

    def _messages(self, ns: tuple[str, ...], state: Any) -> list[dict[str, Json]]:
        """Return the messages in the state of a graph as a page's."""
        channel = self._options.channel
        found = state.get(channel) if isinstance(state, dict) else getattr(state, channel, None)
        return self._pages.setdefault(ns, PageMessages()).convert(
            message for message in found or () if isinstance(message, BaseMessage)
        )

    def _place(self, ns: tuple[str, ...]) -> str | None:
        """Return the turn's namespace for a graph's; None: it is not shown."""
        if ns not in self._places:
            place = self._namespaces.of(ns)
            if place is None and self._options.subgraphs is not None:
                place = self._add_subgraph(self._options.subgraphs, ns)
            self._places[ns] = place
        return self._places[ns]

    def _add_subgraph(self, field: str, ns: tuple[str, ...]) -> str:
        """Add a subgraph to the thread's state, for its messages. Those of earlier runs leave it."""
        name = "|".join(ns)
        if not any(place is not None and place.startswith(SUBGRAPH) for place in self._places.values()):
            self._run.state[field] = {}
        self._run.state[field][name] = {"name": ns[-1].partition(":")[0], "messages": []}
        self._turn.show_in(SUBGRAPH + name, Messages(self._run._document, (field, name, "messages")))
        return SUBGRAPH + name

    def _show_custom(self, field: str, value: Any) -> None:
        """Put a value that a node or a tool streamed into the thread's state."""
        if isinstance(value, dict) and isinstance(self._run.state.get(field, {}), dict):
            for key, each in value.items():
                self._run.put((field, str(key)), each)
        else:
            self._run.put(field, value)


class _Streamed:
    """A message of a model that is under way."""

    __slots__ = ("calls", "id", "ns")

    def __init__(self, id: str, ns: str | None) -> None:
        self.id = id
        self.ns = ns  #: where it is shown; None: nowhere
        self.calls: list[str | int] = []  #: the keys of its tool calls, in order

    def key(self, index: int | str | None, id: str | None) -> str | int:
        """Return the key of the call that a piece belongs to: its index, or its id where providers number none."""
        if index is not None:
            return index
        return id or (self.calls[-1] if self.calls else "")
