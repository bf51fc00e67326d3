"""The places where messages of a graph's namespaces appear: in the conversation, in a tool call, or in a separate list.

A namespace of LangGraph names the tasks that lead to a subgraph. The only link from a sub-agent to its tool call is the
input of the task that performs the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.pregel import Pregel

from .options import Graph

__all__ = ["Namespaces"]


class Namespaces:
    """The namespaces of one run of a graph.

    Args:
        graph: The graph.
        channel: Where its state has its messages.
    """

    def __init__(self, graph: Graph, channel: str) -> None:
        self._channel = channel
        self._speaking = _speaking(graph, channel)
        self._calls: dict[str, str] = {}  #: the tool calls that tasks perform, by the tasks' ids
        self._interrupted: dict[str, str | None] = {}  #: likewise, by the ids of interrupts
        self._known: dict[tuple[str, ...], str | None] = {(): ""}

    def note_task(self, task: Mapping[str, Any]) -> None:
        """Note which call a task performs when it starts."""
        call = _call_of(task.get("input"), self._channel)
        if call is not None:
            self._calls[task["id"]] = call
        for interrupt in task.get("interrupts") or ():
            self._interrupted.setdefault(interrupt["id"], self._calls.get(task["id"]))

    def interrupted_call(self, interrupt: str) -> str | None:
        """Return the tool call that an interrupt came from, if it came from one."""
        return self._interrupted.get(interrupt)

    def of(self, ns: tuple[str, ...]) -> str | None:
        """Return where the messages of a namespace are shown: "" the conversation, or a call's id; None: neither."""
        if ns not in self._known:
            calls = (self._calls.get(_task(step)) for step in reversed(ns))
            call = next((call for call in calls if call is not None), None)
            speaks = tuple(step.partition(":")[0] for step in ns) in self._speaking
            self._known[ns] = "" if call is None and speaks else call
        return self._known[ns]

    def is_agent(self, ns: tuple[str, ...]) -> bool:
        """Return whether a namespace is that of a graph which a tool call has begun, and not of a graph within it."""
        steps = [step for step in ns if ":" in step]
        return bool(steps) and _task(steps[-1]) in self._calls


def _task(step: str) -> str:
    return step.rpartition(":")[2]


def _call_of(given: Any, channel: str) -> str | None:
    """Return the id of the one tool call that a task is given; None if it is given none, or several."""
    if isinstance(given, dict) and isinstance(given.get("tool_call"), dict):
        given = [given["tool_call"]]  # of `create_react_agent`
    elif isinstance(given, dict):
        messages = given.get(channel)
        last = messages[-1] if isinstance(messages, list) and messages else None
        given = last.tool_calls if isinstance(last, AIMessage) else ()  # of a `ToolNode` in a graph
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        id = given[0].get("id")
        return id if isinstance(id, str) and "args" in given[0] else None
    return None


def _speaking(graph: Graph, channel: str) -> set[tuple[str, ...]]:
    """Return the paths of the nodes that are graphs themselves and share the messages with the graph they are in."""
    found: set[tuple[str, ...]] = set()
    pending: list[tuple[tuple[str, ...], Graph]] = [((), graph)]
    while pending:
        path, graph = pending.pop()
        for name, node in graph.nodes.items():
            if isinstance(node.bound, Pregel) and channel in (node.bound.output_channels or ()):
                found.add((*path, name))
                pending.append(((*path, name), node.bound))
    return found
