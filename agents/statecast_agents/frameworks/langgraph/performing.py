"""Perform a run of a graph: from the commands of a run to the end of the graph's stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from langgraph.channels.delta import DeltaChannel
from langgraph.types import Command

from statecast_agents.commands import AddMessage, AddToolResult, Answer
from statecast_agents.frameworks.adapter.turn import Turn

from .checkpointer import SlotSaver
from .interrupts import ask, ask_to_go_on, goes_on, resumption
from .options import Graph, GraphOptions
from .savers import asynchronous, with_checkpointer
from .start import find_start
from .stream import MODES, GraphStream

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["GraphRun"]

#: The name in a thread's memory that holds the checkpoints of a graph without a checkpointer.
SLOT: Final = "langgraph"


class _Given(NamedTuple):
    """What a graph is given."""

    value: Any  #: its input
    config: RunnableConfig  #: from which checkpoint


class GraphRun:
    """One run of a graph.

    Args:
        turn: Where its messages go.
        graph: The graph.
        options: How it is run, and what of it is shown.
    """

    def __init__(self, turn: Turn, graph: Graph, options: GraphOptions) -> None:
        self._turn = turn
        self._run = turn.run
        self._graph = graph
        self._options = options
        self._config = cast("RunnableConfig", options.config_for(turn.run))
        self._stream = GraphStream(turn, graph, options)

    async def perform(self) -> None:
        """Run the graph for the run's commands, show what it does, and ask what it waits for at the end."""
        self._graph = await self._with_memory()
        given = await self._given()
        if given is None:
            return
        await self._copy(given)
        if self._graph.checkpointer and self._may_wait():
            newest = await self._graph.aget_state(self._config)
            if newest.interrupts:
                self._turn.suspend()
                ask(self._run, newest.interrupts, self._stream.call_of)
            elif newest.next:
                ask_to_go_on(self._run, newest)

    def _may_wait(self) -> bool:
        """Return whether the graph may wait for something at the end of its stream; its state says for what."""
        stops = self._graph.interrupt_before_nodes, self._graph.interrupt_after_nodes
        return self._stream.interrupted or any(stops)

    async def _copy(self, given: _Given) -> None:
        parts = self._graph.astream(
            given.value,
            given.config,
            context=self._options.context_for(self._run),
            stream_mode=[*MODES],
            subgraphs=True,
            version="v2",
        )
        async with aclosing(cast(AsyncGenerator[Mapping[str, Any], None], parts)) as stream:
            async for part in stream:
                self._stream.copy(part)

    async def _with_memory(self) -> Graph:
        """Return the graph with a checkpointer that works: its own, or one in the thread's memory."""
        saver = self._graph.checkpointer
        if isinstance(saver, bool):
            return self._graph
        if saver is None:
            grown = {name for name, channel in self._graph.channels.items() if isinstance(channel, DeltaChannel)}
            found: Any = SlotSaver(self._run.memory, SLOT, thread_id=self._run.thread_id, grown=grown)
        else:
            found = await asynchronous(saver, self._config)
        return self._graph if found is saver else with_checkpointer(self._graph, found)

    async def _given(self) -> _Given | None:
        """Return what the graph is given for the run's commands; None if there is nothing to do."""
        said = [command for command in self._run.commands if isinstance(command, AddMessage)]
        count = sum(command.message.role == "user" for command in said)
        if not count:
            return await self._to_go_on()
        page = self._run.messages.items
        edits = any(command.source_id is not None for command in said)
        start = await find_start(self._graph, self._config, self._options.channel, page, count, edits=edits)
        self._turn.take_over(start.drafts)
        if start.done:
            self._stream.show((await self._graph.aget_state(self._config)).values)
            return None
        if start.messages is None:
            return _Given(None, start.config)
        if self._options.input is None:
            return _Given({self._options.channel: start.messages}, start.config)
        return _Given(self._options.input(self._run, start.messages), start.config)

    async def _to_go_on(self) -> _Given | None:
        """Return what the graph goes on with in a run without a new message; None if it has nothing to do, or waits."""
        answers = any(isinstance(command, AddToolResult | Answer) for command in self._run.commands)
        if not answers or not self._graph.checkpointer:
            return None
        newest = await self._graph.aget_state(self._config)
        if not newest.interrupts:
            return _Given(None, self._config) if newest.next and goes_on(self._run, newest) else None
        resumed = resumption(self._run, newest.interrupts)
        return None if resumed is None else _Given(Command(resume=resumed), self._config)
