"""Serve a LangGraph graph as an agent (`LangGraphAgent`), or run one in a handler (`run_graph`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statecast_agents.agent import Agent
from statecast_agents.foreign import Select
from statecast_agents.frameworks.adapter.checks import check_functions, check_places
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.frameworks.adapter.work import foreign
from statecast_agents.run import Run

from .options import Graph, GraphOptions

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware

__all__ = ["LangGraphAgent", "page_tools_middleware", "run_graph"]


class LangGraphAgent(Agent):
    """An agent that runs a LangGraph graph, including those of `create_agent` and `create_deep_agent`.

    Args:
        graph: The compiled graph.
        name: As in `Agent`.
        channel: The key of the messages in the graph's state.
        values: The key, or keys, in the thread's state that show the graph's state after each step. Values that JSON
            cannot express are omitted. None: the graph's state is not shown.
        select: The keys of the graph's state to show, or a function that returns true for them; default: all but the
            messages.
        custom: The key in the thread's state for values that nodes and tools stream. A dict is merged into it; any
            other value replaces it. None: these values are not shown.
        subgraphs: The key in the thread's state for messages of subgraphs that have their own conversation and were not
            started by a tool call: `{namespace: {"name", "messages"}}`, of the latest run. None: they are not shown.
        input: Returns the graph's input for the run and the messages that are new to the graph; default:
            `{channel: messages}`.
        config: LangGraph's config, or a function that returns it for a run. The thread's id is added.
        context: Returns the context of the graph's nodes and tools for a run.
        restartable: As in `Agent`, but true by default: after a crash, a graph continues from its last checkpoint.
        settings: As in `Agent`.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it.
    """

    def __init__(
        self,
        graph: Graph,
        name: str = "agent",
        *,
        channel: str = "messages",
        values: str | Sequence[str] | None = None,
        select: Select | None = None,
        custom: str | None = "custom",
        subgraphs: str | None = "subgraphs",
        input: Callable[[Run, Sequence[Any]], Any] | None = None,  # the framework's name
        config: Mapping[str, Any] | Callable[[Run], Mapping[str, Any]] | None = None,
        context: Callable[[Run], Any] | None = None,
        restartable: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(name, restartable=restartable, **settings)
        if not callable(getattr(graph, "astream", None)) or not hasattr(graph, "channels"):
            raise TypeError(f"expected a compiled graph, got {graph!r:.80}; call its compile()")
        if self.messages is None:
            raise ValueError("expected a key for the messages, got messages=None: a graph's are in the thread's state")
        if input is None and hasattr(graph, "builder") and channel not in graph.channels:
            message = f'expected a graph whose state has "{channel}", got {", ".join(graph.builder.channels)}'
            raise ValueError(f"{message}; name its messages with channel=, or make its input with input=")
        check_functions(context=context)
        check_functions("run, messages", input=input)
        check_places(self, values=values, custom=custom, subgraphs=subgraphs)
        if select is not None and values is None:
            raise ValueError("expected values beside select: where the selected keys go, got None")
        if isinstance(select, str):
            raise TypeError(f'expected keys or a function as select, got the text "{select}"; write ["{select}"]')
        self._graph = graph
        self._options = GraphOptions(
            channel=channel,
            values=values,
            select=select,
            custom=custom,
            subgraphs=subgraphs,
            input=input,
            config=config,
            context=context,
        )
        self.batch(self._perform)

    async def _perform(self, run: Run) -> None:
        await _run(run, self._graph, self._options)


async def run_graph(
    run: Run,
    graph: Graph,
    *,
    channel: str = "messages",
    values: str | Sequence[str] | None = None,
    select: Select | None = None,
    custom: str | None = "custom",
    subgraphs: str | None = "subgraphs",
    input: Callable[[Run, Sequence[Any]], Any] | None = None,  # the framework's name
    config: Mapping[str, Any] | None = None,
    context: Any = None,
) -> None:
    """Run a compiled graph for the commands of a run, and show its work in the thread.

    For a new message, an edit or a regenerated answer, the graph continues from the checkpoint that ends with the
    messages the page still has. A run that had begun before a crash continues where the graph stopped.

    Args:
        run: The run.
        graph: The graph.
        channel: As in `LangGraphAgent`, like the following arguments.
        values: The key for the graph's state.
        select: The keys of the graph's state to show.
        custom: The key for values that nodes and tools stream.
        subgraphs: The key for messages of subgraphs.
        input: Returns the graph's input.
        config: LangGraph's config.
        context: The context itself, not a function.

    Raises:
        AgentError: The graph failed with an error that users may read, such as `rate_limited`.
        Exception: Any other exception of the graph.
    """
    options = GraphOptions(
        channel=channel,
        values=values,
        select=select,
        custom=custom,
        subgraphs=subgraphs,
        input=input,
        config=config,
        context=lambda run: context,
    )
    await _run(run, graph, options)


def page_tools_middleware() -> AgentMiddleware[Any, Any]:
    """Return a middleware for `create_agent` that offers the page's frontend tools to the model.

    A call to one ends the run. The page executes it, and its result starts the next run, in which the agent continues.

    Raises:
        ModuleNotFoundError: LangChain is not installed; the message tells how to install it.
    """
    try:
        from .page_tools import PageTools
    except ModuleNotFoundError as error:
        message = "expected LangChain to be installed, for its middleware: pip install 'statecast[langgraph]' langchain"
        raise ModuleNotFoundError(message, name=error.name) from error
    return PageTools()


async def _run(run: Run, graph: Graph, options: GraphOptions) -> None:
    from .performing import GraphRun

    with Turn(run) as turn:
        await foreign(run, GraphRun(turn, graph, options).perform)
