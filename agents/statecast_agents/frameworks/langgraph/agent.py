"""`LangGraphAgent`: an agent that is a graph; `run_graph`: the same for a handler of one's own."""

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
    """An agent that is a LangGraph graph: also what `create_agent` and `create_deep_agent` return.

    Args:
        graph: The compiled graph.
        name: As in `Agent`.
        channel: Where the graph's state has its messages.
        values: Where in the thread's state the graph's state goes after each of its steps: a key, or several. What JSON
            cannot express is left out. None: nowhere.
        select: Which keys of the graph's state go there: these, or those for which a function returns true; default:
            all but the messages.
        custom: Where in the thread's state the values go that nodes and tools stream: the fields of a dict each to a
            field of their own, any other value in place of the one before. None: nowhere.
        subgraphs: Where in the thread's state the messages go of subgraphs that have a conversation of their own, and
            that no tool call has begun: `{namespace: {"name", "messages"}}`, of the latest run. None: nowhere.
        input: Makes the graph's input of the run and of the messages that are new to the graph; default:
            `{channel: messages}`.
        config: LangGraph's config, or a function that makes it for a run. The thread's id is added.
        context: Makes the context for the graph's nodes and tools, for a run.
        restartable: As in `Agent`, but true: a graph goes on from its last checkpoint after a crash.
        settings: As in `Agent`.

    Raises:
        TypeError, ValueError: One of these makes no sense; the text names it.
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
    """Run a compiled graph for the commands of a run, and show in the thread what it does.

    A new message, an edit and another answer go on from the checkpoint that ends with what the page has kept. A run
    that had begun before a crash goes on where the graph stopped.

    Args:
        run: The run.
        graph: The graph.
        channel: As in `LangGraphAgent`, like the following.
        values: Where the graph's state goes.
        select: Which keys of it.
        custom: Where the values go that nodes and tools stream.
        subgraphs: Where the messages of subgraphs go.
        input: Makes the graph's input.
        config: LangGraph's config.
        context: The context itself.

    Raises:
        AgentError: The graph failed for a reason that users may read, such as `rate_limited`.
        Exception: Whatever else the graph raises.
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
    """Return a middleware for `create_agent` that offers the tools of the page to the model.

    A call of one ends the run. The page performs it, and its result begins the next run, in which the agent goes on.

    Raises:
        ModuleNotFoundError: LangChain is not installed; the text says what to do.
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
