"""Find where a graph continues for a run: at its newest checkpoint, or at an earlier one after an edit.

The page decides which messages precede the new ones. The graph decides what it knows of them. A message has the same id
on both sides, so comparing ids is enough: a new message, an edit, a regenerated answer and a run after a crash are one
case each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from statecast_agents.values import Json

from .messages import from_page, human, unanswered
from .options import Graph

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import StateSnapshot

__all__ = ["Start", "conversation", "find_start", "merged"]

#: How many checkpoints are searched for the one that the page went back to.
SEARCHED: Final = 1_000


class Start(NamedTuple):
    """How a graph starts for a run."""

    messages: list[BaseMessage] | None  #: what it is given; None: it goes on where it stopped
    config: RunnableConfig  #: from which checkpoint
    drafts: Sequence[str] = ()  #: ids of messages that an earlier try of the run has shown, and the graph has not kept
    done: bool = False  #: whether an earlier try of the run has done it all


class _Page(NamedTuple):
    """The messages of a page, as a run finds them."""

    before: Sequence[Json]
    new: Sequence[Json]  #: the user's, which the run is for
    after: Sequence[Json]  #: what an earlier try of the run has shown


def conversation(snapshot: StateSnapshot, channel: str) -> list[BaseMessage]:
    """Return the messages in a graph's state, whichever class the state has."""
    values: Any = snapshot.values
    found = values.get(channel) if isinstance(values, dict) else getattr(values, channel, None)
    return [message for message in found if isinstance(message, BaseMessage)] if isinstance(found, list) else []


async def find_start(
    graph: Graph,
    config: RunnableConfig,
    channel: str,
    page: Sequence[Json],
    count: int,
    *,
    edits: bool,
) -> Start:
    """Return how a graph starts for the user's last messages in a page.

    Args:
        graph: The graph.
        config: Names its thread.
        channel: Where its state has the messages.
        page: The page's messages.
        count: How many of the user's last messages are new.
        edits: Whether one of them replaces another, or is to be answered again.
    """
    split = _split(page, count)
    if not graph.checkpointer or graph.checkpointer is True:
        return Start([*from_page([*split.before, *split.new])], config)
    newest = await graph.aget_state(config)
    messages = conversation(newest, channel)
    known = _shown(messages)
    asked = split.new[-1].get("id") if split.new else None
    if asked in known:  # from an earlier try of the run, unless the message is to be answered again
        answered = known[known.index(asked) + 1 :]
        if not edits or not answered or any(_id(message) in answered for message in split.after):
            drafts = [id for message in split.after if (id := _id(message)) not in known]
            done = bool(answered) and not newest.next
            if done or newest.next:
                return Start(None, config, drafts, done)
    return await _after(graph, config, channel, split, messages)


async def _after(graph: Graph, config: RunnableConfig, channel: str, page: _Page, messages: list[BaseMessage]) -> Start:
    """Return how a graph starts after the messages that the page has kept."""
    new: list[BaseMessage] = [human(message) for message in page.new if isinstance(message, dict)]
    known = _shown(messages)
    parent = next((_id(message) for message in reversed(page.before) if _id(message) in known), None)
    if not known:
        return Start([*from_page(page.before), *new], config)
    if parent == known[-1]:
        return Start([*unanswered(messages), *new], config)
    if parent is not None:
        async for snapshot in graph.aget_state_history(config, limit=SEARCHED):
            found = conversation(snapshot, channel)
            if not snapshot.next and _shown(found)[-1:] == [parent]:
                return Start(new, merged(config, snapshot.config))
    kept = _up_to(messages, parent)
    return Start([RemoveMessage(REMOVE_ALL_MESSAGES), *kept, *unanswered(kept), *new], config)


def merged(config: RunnableConfig, more: RunnableConfig) -> RunnableConfig:
    """Return a config with what another one says of the thread and the checkpoint."""
    return {**config, "configurable": {**config.get("configurable", {}), **more.get("configurable", {})}}


def _split(page: Sequence[Json], count: int) -> _Page:
    end = len(page)
    while end and _role(page[end - 1]) != "user":
        end -= 1
    start = end
    while start and end - start < count and _role(page[start - 1]) == "user":
        start -= 1
    return _Page(page[:start], page[start:end], page[end:])


def _shown(messages: Sequence[BaseMessage]) -> list[str]:
    """Return the ids of the messages that a page shows as messages of their own."""
    return [message.id for message in messages if isinstance(message, HumanMessage | AIMessage) and message.id]


def _up_to(messages: list[BaseMessage], id: str | None) -> list[BaseMessage]:
    """Return the messages up to the one with an id, and the results of its calls."""
    if id is None:
        return []
    ids = [message.id for message in messages]
    end = ids.index(id) + 1
    while end < len(messages) and not isinstance(messages[end], HumanMessage | AIMessage):
        end += 1
    return messages[:end]


def _id(message: Json) -> Any:
    return message.get("id") if isinstance(message, dict) else None


def _role(message: Json) -> Any:
    return message.get("role") if isinstance(message, dict) else None
