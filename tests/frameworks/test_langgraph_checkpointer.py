"""LangGraph's checkpoints in a slot of a thread."""

from __future__ import annotations

from typing import Any

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from statecast_agents.frameworks.langgraph.checkpointer import SlotSaver
from statecast_agents.frameworks.langgraph.savers import ThreadSaver, asynchronous, with_checkpointer
from tests.frameworks.langgraph_model import ScriptedModel, Synchronous, call

pytestmark = pytest.mark.anyio

CONFIG: Any = {"configurable": {"thread_id": "t"}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def an_agent(*answers: Any) -> Any:
    approval = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    return create_agent(ScriptedModel(answers=[*answers]), [add], middleware=[approval])


def a_deep_agent(*answers: Any) -> Any:
    return create_deep_agent(ScriptedModel(answers=[*answers]), [add], interrupt_on={"add": True})


def on(slots: dict[str, Any], graph: Any) -> Any:
    """Return a graph with a new checkpointer on the slots, as each run has one."""
    grown = {name for name, channel in graph.channels.items() if isinstance(channel, DeltaChannel)}
    return graph.copy({"checkpointer": SlotSaver(slots, "graph", thread_id="t", grown=grown)})


def said(id: str, text: str = "hi") -> Any:
    return {"messages": [{"role": "user", "content": text, "id": id}]}


@pytest.mark.parametrize("made", [an_agent, a_deep_agent], ids=["agent", "deep agent"])
async def test_a_graph_goes_on_from_its_slot_after_an_interrupt(made: Any) -> None:
    slots: dict[str, Any] = {}
    graph = made([call(0, '{"a": 1, "b": 2}', id="c-1", name="add")], ["three"], ["bye"])
    await on(slots, graph).ainvoke(said("m-1"), CONFIG)

    waiting = await on(slots, graph).aget_state(CONFIG)
    answer = {waiting.interrupts[0].id: {"decisions": [{"type": "approve"}]}}
    await on(slots, graph).ainvoke(Command(resume=answer), CONFIG)
    await on(slots, graph).ainvoke(said("m-2"), CONFIG)

    done = await on(slots, graph).aget_state(CONFIG)
    assert [str(message.text) for message in done.values["messages"]] == ["hi", "", "3", "three", "hi", "bye"]
    assert not done.interrupts
    assert not done.next


@pytest.mark.parametrize("made", [an_agent, a_deep_agent], ids=["agent", "deep agent"])
async def test_a_slot_put_back_to_an_earlier_value_is_the_graph_as_it_was(made: Any) -> None:
    slots: dict[str, Any] = {}
    graph = made(["one"], ["two"], ["two again"])
    await on(slots, graph).ainvoke(said("m-1"), CONFIG)
    before = slots["graph"]
    await on(slots, graph).ainvoke(said("m-2"), CONFIG)
    slots["graph"] = before
    await on(slots, graph).ainvoke(said("m-3", "edited"), CONFIG)

    state = await on(slots, graph).aget_state(CONFIG)
    assert [str(message.text) for message in state.values["messages"]] == ["hi", "one", "edited", "two again"]


@pytest.mark.parametrize(("made", "each"), [(an_agent, 1_000), (a_deep_agent, 4_000)], ids=["agent", "deep agent"])
async def test_a_slot_holds_the_conversation_and_not_its_checkpoints(made: Any, each: int) -> None:
    slots: dict[str, Any] = {}
    turns = 20
    graph = made(*[[f"answer {turn}"] for turn in range(turns)])
    for turn in range(turns):
        await on(slots, graph).ainvoke(said(f"m-{turn}"), CONFIG)
    assert len(slots["graph"]) < 4_000 + each * turns


async def test_each_version_of_a_slot_begins_with_the_conversation_of_the_one_before() -> None:
    slots: dict[str, Any] = {}
    graph = an_agent(*[["x" * 500] for _ in range(20)])
    for turn in range(19):
        await on(slots, graph).ainvoke(said(f"m-{turn}"), CONFIG)
    before = slots["graph"]
    await on(slots, graph).ainvoke(said("m-19"), CONFIG)
    same = next(place for place, (old, new) in enumerate(zip(before, slots["graph"], strict=False)) if old != new)
    assert same > 19 * 500
    assert len(before) - same < 3_000


async def test_a_synchronous_checkpointer_serves_an_asynchronous_graph() -> None:
    synchronous = Synchronous()
    saver = await asynchronous(synchronous, CONFIG)
    assert isinstance(saver, ThreadSaver)
    graph = an_agent(["one"], ["two"]).copy({"checkpointer": saver})
    await graph.ainvoke(said("m-1"), CONFIG)
    await graph.ainvoke(said("m-2"), CONFIG)

    history = [state async for state in graph.aget_state_history(CONFIG)]
    assert [str(message.text) for message in history[0].values["messages"]] == ["hi", "one", "hi", "two"]
    assert len(history) == 8
    await saver.adelete_thread("t")
    assert await saver.aget_tuple(CONFIG) is None


async def test_an_asynchronous_checkpointer_is_used_as_it_is() -> None:
    saver = InMemorySaver()
    assert await asynchronous(saver, CONFIG) is saver


async def test_a_graph_with_another_checkpointer_keeps_what_a_strict_serializer_may_read() -> None:
    graph = an_agent()
    graph._serde_allowlist = {("app", "Item")}
    saver = InMemorySaver()
    other = with_checkpointer(graph, saver)
    assert (graph.checkpointer, other.checkpointer) == (None, saver)
    assert other._serde_allowlist == {("app", "Item")}
