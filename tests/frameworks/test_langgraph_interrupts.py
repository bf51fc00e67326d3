"""What a graph waits for, as questions of its thread, and how their answers resume it."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from statecast.frameworks import LangGraphAgent
from statecast.testing import Result, TestClient
from tests.frameworks.langgraph_model import ScriptedModel, call

pytestmark = pytest.mark.anyio


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TWO = [call(0, '{"a": 1, "b": 2}', id="c-1", name="add"), call(1, '{"a": 3, "b": 4}', id="c-2", name="add")]


def asking(model: ScriptedModel) -> LangGraphAgent:
    approval = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    return LangGraphAgent(create_agent(model, [add], middleware=[approval], checkpointer=InMemorySaver()))


def results(result: Result) -> dict[str, Any]:
    """Return the results of the calls, by their ids."""
    parts = [part for message in result.state["messages"] for part in message["parts"]]
    return {part["toolCallId"]: part.get("result") for part in parts if part["type"] == "tool-call"}


def answer(**answers: Any) -> dict[str, Any]:
    return {"type": "answer", "answers": answers}


async def test_each_call_of_the_middleware_is_a_question_about_that_call() -> None:
    async with TestClient(asking(ScriptedModel(answers=[TWO]))) as client:
        asked = await client.run("a", thread_id="t")
    pending = asked.state["pending"]
    assert [(one["callId"], one["kind"]) for one in pending] == [("c-1", "approval"), ("c-2", "approval")]
    assert pending[0]["details"] == {
        "name": "add",
        "args": {"a": 1, "b": 2},
        "decisions": ["approve", "edit", "reject", "respond"],
    }
    assert "Tool: add" in pending[0]["prompt"]


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (True, "3"),
        ({"approved": True, "value": {"args": {"a": 5, "b": 5}}}, "10"),
        ({"approved": False, "text": "It is three."}, "It is three."),
        ({"approved": False, "reason": "No sums today."}, "No sums today."),
        (False, "User rejected"),
    ],
    ids=["yes", "edit", "respond", "reject with a reason", "no"],
)
async def test_an_answer_is_the_decision_that_the_middleware_takes(value: Any, outcome: str) -> None:
    model = ScriptedModel(answers=[TWO[:1], ["done"]])
    async with TestClient(asking(model)) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        done = await client.run(answer(**{question["id"]: value}), thread_id="t", state=asked.state)
    assert outcome in results(done)["c-1"]
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "done"}]


@pytest.mark.parametrize(
    ("allowed", "value", "outcome"),
    [(["edit", "reject"], True, "User rejected"), (["approve", "respond"], False, "The user declined this tool call.")],
    ids=["no approval", "no rejection"],
)
async def test_an_answer_that_the_middleware_does_not_take_never_runs_the_tool(
    allowed: Any, value: Any, outcome: str
) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"add": {"allowed_decisions": allowed}})
    graph = create_agent(ScriptedModel(answers=[TWO[:1], ["done"]]), [add], middleware=[approval])
    async with TestClient(LangGraphAgent(graph)) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        done = await client.run(answer(**{question["id"]: value}), thread_id="t", state=asked.state)
    assert outcome in results(done)["c-1"]


@pytest.mark.parametrize(("value", "ran"), [(True, ["first", "second"]), (False, ["first"])], ids=["yes", "no"])
async def test_a_graph_that_stops_before_a_node_asks_whether_to_go_on(value: bool, ran: list[str]) -> None:
    done: list[str] = []
    graph = StateGraph(MessagesState)
    graph.add_node("first", lambda state: done.append("first"))
    graph.add_node("second", lambda state: done.append("second"))
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    async with TestClient(LangGraphAgent(graph.compile(interrupt_before=["second"]))) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        assert (question["prompt"], question["details"]) == ("Go on with second?", {"next": ["second"]})
        await client.run(answer(**{question["id"]: value}), thread_id="t", state=asked.state)
    assert done == ran


async def test_a_graph_goes_on_when_the_last_answer_is_there() -> None:
    model = ScriptedModel(answers=[TWO, ["done"]])
    async with TestClient(asking(model)) as client:
        asked = await client.run("a", thread_id="t")
        first, second = (question["id"] for question in asked.state["pending"])
        half = await client.run(answer(**{second: True}), thread_id="t", state=asked.state)
        assert results(half) == {"c-1": None, "c-2": None}
        assert (await client.get("/status/t")).json()["status"] == "waiting"
        done = await client.run(answer(**{first: False}), thread_id="t", state=half.state)
    assert "User rejected" in results(done)["c-1"]
    assert results(done)["c-2"] == "7"
    assert not done.state.get("pending")
    assert len(model.asked) == 2


async def test_a_message_instead_of_an_answer_closes_the_question() -> None:
    model = ScriptedModel(answers=[TWO[:1], ["never mind"]])
    async with TestClient(asking(model)) as client:
        asked = await client.run("a", thread_id="t")
        said = await client.run("b", thread_id="t", state=asked.state)
    assert not said.state.get("pending")
    assert [kind for kind, _ in model.said()] == ["human", "ai", "tool", "human"]
    assert said.state["messages"][-1]["parts"] == [{"type": "text", "text": "never mind"}]


def plain(node: Any) -> LangGraphAgent:
    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return LangGraphAgent(graph.compile(checkpointer=InMemorySaver()))


@pytest.mark.parametrize(
    ("value", "given"),
    [("blue", "blue"), ({"of": 1}, {"of": 1}), (True, True), (False, False), (None, None)],
    ids=["text", "object", "true", "false", "null"],
)
async def test_an_interrupt_of_a_node_is_answered_with_any_value(value: Any, given: Any) -> None:
    got: list[Any] = []

    async def node(state: Any) -> Any:
        got.append(interrupt({"question": "Which color?", "hint": "Any."}))
        return {"messages": [("ai", "ok")]}

    async with TestClient(plain(node)) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        assert (question["kind"], question["prompt"]) == ("input", "Which color?")
        assert question["details"] == {"question": "Which color?", "hint": "Any."}
        done = await client.run(answer(**{question["id"]: value}), thread_id="t", state=asked.state)
    assert got == [given]
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "ok"}]


async def test_an_interrupt_of_a_tool_is_a_question_about_its_call() -> None:
    @tool
    async def paint(wall: str) -> str:
        """Paint a wall."""
        return f"{wall}: {interrupt('Which color?')}"

    model = ScriptedModel(answers=[[call(0, '{"wall": "north"}', id="c-1", name="paint")], ["done"]])
    agent = LangGraphAgent(create_agent(model, [paint], checkpointer=InMemorySaver()))
    async with TestClient(agent) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        assert question["callId"] == "c-1"
        done = await client.run(answer(**{question["id"]: "blue"}), thread_id="t", state=asked.state)
    assert results(done) == {"c-1": "north: blue"}


async def test_what_a_node_said_before_it_interrupted_stays_as_incomplete() -> None:
    model = ScriptedModel(answers=[["draft"], ["final"]])

    async def node(state: Any) -> Any:
        said = await model.ainvoke(state["messages"])
        interrupt("Go on?")
        return {"messages": [said]}

    async with TestClient(plain(node)) as client:
        asked = await client.run("a", thread_id="t")
        assert asked.state["messages"][1]["status"] == {"type": "incomplete", "reason": "other"}
        (question,) = asked.state["pending"]
        done = await client.run(answer(**{question["id"]: True}), thread_id="t", state=asked.state)
    assert [message["parts"][0]["text"] for message in done.state["messages"]] == ["a", "draft", "final"]


async def test_two_nodes_that_interrupt_at_once_are_resumed_when_both_are_answered() -> None:
    ran: list[str] = []

    def asking_for(name: str) -> Any:
        async def node(state: Any) -> Any:
            answered = interrupt(name)
            ran.append(name)
            return {"messages": [("ai", f"{name}: {answered}")]}

        return node

    graph = StateGraph(MessagesState)
    for name in ("left", "right"):
        graph.add_node(name, asking_for(name))
        graph.add_edge(START, name)
    async with TestClient(LangGraphAgent(graph.compile())) as client:
        asked = await client.run("a", thread_id="t")
        ids = {question["prompt"]: question["id"] for question in asked.state["pending"]}
        half = await client.run(answer(**{ids["right"]: 1}), thread_id="t", state=asked.state)
        assert [question["prompt"] for question in half.state["pending"]] == ["left"]
        done = await client.run(answer(**{ids["left"]: 2}), thread_id="t", state=half.state)
    assert sorted(ran) == ["left", "right"]
    said = sorted(message["parts"][0]["text"] for message in done.state["messages"][1:])
    assert said == ["left: 2", "right: 1"]


async def test_a_sub_agents_calls_are_approved_where_they_are_shown() -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    inner = ScriptedModel(answers=[TWO[:1], ["three"]])
    helper = create_agent(inner, [add], middleware=[approval], name="helper")

    @tool
    async def help_me(question: str) -> str:
        """Help."""
        found = await helper.ainvoke({"messages": [{"role": "user", "content": question}]})
        return str(found["messages"][-1].text)

    model = ScriptedModel(answers=[[call(0, '{"question": "1+2"}', id="h-1", name="help_me")], ["done"]])
    async with TestClient(LangGraphAgent(create_agent(model, [help_me]))) as client:
        asked = await client.run("a", thread_id="t")
        (question,) = asked.state["pending"]
        assert question["callId"] == "c-1"
        done = await client.run(answer(**{question["id"]: True}), thread_id="t", state=asked.state)
    assert results(done) == {"h-1": "three"}
    (shown,) = [part for message in done.state["messages"] for part in message["parts"] if part["type"] == "tool-call"]
    inner_calls = [part for message in shown["messages"] for part in message["content"] if part["type"] == "tool-call"]
    assert [part["result"] for part in inner_calls] == ["3"]
