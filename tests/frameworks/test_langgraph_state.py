"""What a thread has of a graph: its state, its memory across runs and crashes, and the page's tools."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any, TypedDict

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import TodoListMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from statecast import create_app
from statecast.frameworks import LangGraphAgent, page_tools_middleware, run_graph
from statecast.testing import Result, TestClient
from statecast_agents.commands import AddMessage, NewMessage
from statecast_agents.frameworks.langgraph.messages import PageMessages
from tests.frameworks.langgraph_model import HANG, ScriptedModel, call
from tests.frameworks.runs import run_on, texts

pytestmark = pytest.mark.anyio


def said(result: Result) -> list[str]:
    return ["".join(part.get("text", "") for part in message["parts"]) for message in result.state["messages"]]


# The graph's state


class Fields(TypedDict):
    topic: str
    tags: set[str]
    raw: bytes


@dataclasses.dataclass
class Record:
    topic: str = ""
    tags: set[str] = dataclasses.field(default_factory=set)
    raw: bytes = b""


class Model(BaseModel):
    topic: str = ""
    tags: set[str] = set()
    raw: bytes = b""


@pytest.mark.parametrize("schema", [Fields, Record, Model])
async def test_a_graphs_state_is_converted_whatever_class_it_has(schema: Any) -> None:
    graph = StateGraph(schema)
    graph.add_node("fill", lambda state: {"tags": {"b", "a"}, "raw": b"\xff"})
    graph.add_edge(START, "fill")
    agent = LangGraphAgent(
        graph.compile(), values=("graph", "state"), input=lambda run, new: {"topic": new[-1].text, "tags": set()}
    )
    async with TestClient(agent) as client:
        result = await client.run("Tides")
    assert result.state["graph"]["state"] == {"topic": "Tides", "tags": ["a", "b"]}
    assert said(result) == ["Tides"]


@pytest.mark.parametrize("last", [False, True], ids=["a dict", "a number"])
async def test_an_entrypoint_of_functions_is_a_graph_too(last: bool) -> None:
    model = ScriptedModel(answers=[["one ", "two"]])

    @task
    async def ask(messages: Any) -> Any:
        return await model.ainvoke(messages)

    @entrypoint()
    async def flow(given: Any) -> Any:
        said = await ask(given["messages"])
        sure = interrupt("Sure?")
        return 7 if last else {"messages": [*given["messages"], said], "sure": sure}

    async with TestClient(LangGraphAgent(flow, values="flow")) as client:
        asked = await client.run("a", thread_id="t")
        answer = {"type": "answer", "answers": {asked.state["pending"][0]["id"]: "yes"}}
        done = await client.run(answer, thread_id="t", state=asked.state)
    assert done.state["flow"] == (7 if last else {"sure": "yes"})
    assert said(done) == ["a", "one two"]


async def test_a_plan_appears_while_it_is_worked_off() -> None:
    todos = '{"todos": [{"content": "Look", "status": "in_progress"}]}'
    model = ScriptedModel(answers=[[call(0, todos, id="c-1", name="write_todos")], [HANG]])
    graph = create_agent(model, [], middleware=[TodoListMiddleware()])
    async with TestClient(LangGraphAgent(graph, values="agent")) as client:
        running = asyncio.create_task(client.run("Do it", thread_id="t"))
        await asyncio.wait_for(model.hanging.wait(), 10)
        state = (await client.get("/threads/t/state")).json()["state"]
        await client.post("/cancel", json={"threadId": "t"})
        await running
    assert state["agent"] == {"todos": [{"content": "Look", "status": "in_progress"}]}


async def test_only_selected_keys_are_shown() -> None:
    graph = StateGraph(Fields)
    graph.add_node("fill", lambda state: {"topic": "Moons"})
    graph.add_edge(START, "fill")

    def given(run: Any, new: Any) -> Any:
        return {"topic": "Tides", "tags": {"a"}, "raw": b""}

    async with TestClient(LangGraphAgent(graph.compile(), values="graph", select=["topic"], input=given)) as client:
        result = await client.run("Hi")
    assert result.state["graph"] == {"topic": "Moons"}


async def test_a_deep_agent_shows_its_plan_and_its_workers_at_their_calls() -> None:
    worker = ScriptedModel(answers=[["found ", "it"]])
    todos = '{"todos": [{"content": "Look", "status": "completed"}]}'
    task = '{"description": "Look it up", "subagent_type": "worker"}'
    model = ScriptedModel(
        answers=[
            [call(0, todos, id="c-1", name="write_todos")],
            [call(0, task, id="c-2", name="task")],
            ["All done."],
        ]
    )
    graph = create_deep_agent(
        model,
        middleware=[TodoListMiddleware()],
        subagents=[{"name": "worker", "description": "Works.", "system_prompt": "Work.", "model": worker}],
    )
    async with TestClient(LangGraphAgent(graph, values="agent", select=["todos"])) as client:
        result = await client.run("Do it")
    assert result.state["agent"]["todos"] == [{"content": "Look", "status": "completed"}]
    assert said(result) == ["Do it", "", "", "All done."]
    (part,) = result.state["messages"][2]["parts"]
    assert [message["content"][0]["text"] for message in part["messages"]] == ["Look it up", "found it"]


# Its conversation is the thread's


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_at_the_end_the_thread_has_the_messages_of_the_graph() -> None:
    saver = InMemorySaver()
    sums = [call(0, '{"a": 1, "b": 2}', id="c-1", name="add"), call(1, '{"a": ', id="c-2", name="add")]
    model = ScriptedModel(answers=[["Let me see.", *sums], ["Three."], ["Bye."]])
    graph = create_agent(model, [add], checkpointer=saver)
    async with TestClient(LangGraphAgent(graph)) as client:
        await client.run("How much?", thread_id="t")
        result = await client.run("Thanks", thread_id="t")
    kept = await graph.aget_state({"configurable": {"thread_id": "t"}})
    shown = [
        {**message, "parts": [{key: part[key] for key in part if key != "argsText"} for part in message["parts"]]}
        for message in result.state["messages"]
    ]
    expected = PageMessages().convert(kept.values["messages"])
    for message in expected:
        for part in message["parts"]:
            part.pop("argsText", None)
    assert [{key: message[key] for key in ("id", "role", "parts")} for message in shown] == expected


# Its memory


async def test_a_graph_without_a_checkpointer_goes_on_after_a_restart(tmp_path: Path) -> None:
    def node(state: Any) -> Any:
        return {"messages": [("ai", f"Painted it {interrupt('Which color?')}.")]}

    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    store = f"sqlite:///{tmp_path}/threads.db"
    async with TestClient(create_app(LangGraphAgent(graph.compile()), store=store)) as client:
        asked = await client.run("Paint", thread_id="t")
    answer = {"type": "answer", "answers": {asked.state["pending"][0]["id"]: "blue"}}
    async with TestClient(create_app(LangGraphAgent(graph.compile()), store=store)) as client:
        done = await client.run(answer, thread_id="t", state=asked.state)
    assert said(done) == ["Paint", "Painted it blue."]


async def test_an_edit_takes_the_checkpoints_in_the_memory_back() -> None:
    model = ScriptedModel(answers=[["one"], ["two"], ["edited"]])
    async with TestClient(LangGraphAgent(create_agent(model, []))) as client:
        await client.run("a", thread_id="t")
        before = await client.run("b", thread_id="t")
        messages = before.state["messages"]
        command = {
            "type": "add-message",
            "message": {"role": "user", "parts": [{"type": "text", "text": "c"}]},
            "parentId": messages[1]["id"],
            "sourceId": messages[2]["id"],
        }
        edited = await client.run(command, thread_id="t", state=before.state)
    assert said(edited) == ["a", "one", "c", "edited"]
    assert model.said() == [("human", "a"), ("ai", "one"), ("human", "c")]


async def test_a_graph_that_has_lost_its_checkpoints_is_given_the_conversation() -> None:
    model = ScriptedModel(answers=[[call(0, '{"a": 1, "b": 2}', id="c-1", name="add")], ["Three."], ["Again three."]])
    graph = create_agent(model, [add], checkpointer=InMemorySaver())
    other = create_agent(model, [add], checkpointer=InMemorySaver())
    async with TestClient(LangGraphAgent(graph)) as client:
        first = await client.run("How much?", thread_id="t")
    async with TestClient(LangGraphAgent(other)) as client:
        result = await client.run("Sure?", thread_id="t", state=first.state)
    assert [kind for kind, _ in model.said()] == ["human", "ai", "tool", "ai", "human"]
    assert said(result)[-1] == "Again three."


async def test_a_graph_without_memory_is_given_the_conversation_with_each_message() -> None:
    model = ScriptedModel(answers=[["one"], ["two"]])
    async with TestClient(LangGraphAgent(create_agent(model, [], checkpointer=False))) as client:
        await client.run("a", thread_id="t")
        result = await client.run("b", thread_id="t")
    assert model.said() == [("human", "a"), ("ai", "one"), ("human", "b")]
    assert said(result) == ["a", "one", "b", "two"]


async def test_a_run_that_a_crash_cut_off_goes_on_from_the_last_checkpoint() -> None:
    model = ScriptedModel(answers=[[call(0, '{"a": 1, "b": 2}', id="c-1", name="add")], ["dra", HANG], ["Three."]])
    graph = create_agent(model, [add], checkpointer=InMemorySaver())
    command = AddMessage(message=NewMessage(role="user", parts=[{"type": "text", "text": "How much?"}], id="u-1"))
    before = run_on(commands=[command])
    running = asyncio.create_task(run_graph(before, graph))
    await asyncio.wait_for(model.hanging.wait(), 10)
    shown = before.state["messages"]
    running.cancel()
    await asyncio.wait([running])
    crashed = [{key: message[key] for key in ("id", "role", "parts")} for message in shown]

    after = run_on(commands=[command])
    after.messages.items.extend(crashed[1:])
    await run_graph(after, graph)
    assert [text for _, text in texts(after)] == ["How much?", "", "Three."]
    assert [kind for kind, _ in model.said()] == ["human", "ai", "tool"], "the call is not made again"


async def test_what_the_graph_had_done_before_a_crash_is_shown_even_if_the_page_had_nothing_of_it() -> None:
    model = ScriptedModel(answers=[["one"]])
    graph = create_agent(model, [], checkpointer=InMemorySaver())
    command = AddMessage(message=NewMessage(role="user", parts=[{"type": "text", "text": "a"}], id="u-1"))
    await run_graph(run_on(commands=[command]), graph)
    after = run_on(commands=[command])
    await run_graph(after, graph)
    assert [text for _, text in texts(after)] == ["a", "one"]
    assert len(model.asked) == 1


async def test_a_run_that_a_crash_cut_off_at_its_end_does_nothing() -> None:
    model = ScriptedModel(answers=[["one"]])
    graph = create_agent(model, [], checkpointer=InMemorySaver())
    command = AddMessage(message=NewMessage(role="user", parts=[{"type": "text", "text": "a"}], id="u-1"))
    before = run_on(commands=[command])
    await run_graph(before, graph)
    after = run_on(commands=[command])
    after.messages.items.extend([dict(message) for message in before.state["messages"][1:]])
    await run_graph(after, graph)
    assert texts(after) == texts(before)
    assert len(model.asked) == 1


# The page's tools


COLOR = {"pick_color": {"description": "Ask for a color.", "parameters": {"type": "object", "properties": {}}}}


async def test_calls_of_page_tools_are_answered_one_by_one_also_by_a_page_without_tools() -> None:
    two = [call(0, "{}", id="c-1", name="pick_color"), call(1, "{}", id="c-2", name="pick_color")]
    model = ScriptedModel(answers=[two, ["Done."]])
    graph = create_agent(model, [add], middleware=[page_tools_middleware()])

    def picked(id: str, color: Any) -> dict[str, Any]:
        return {"type": "add-tool-result", "toolCallId": id, "toolName": "pick_color", "result": color}

    async with TestClient(LangGraphAgent(graph)) as client:
        asked = await client.run("Paint", tools=COLOR, thread_id="t")
        half = await client.run(picked("c-2", "blue"), thread_id="t", state=asked.state)
        done = await client.run(picked("c-1", {"color": "red"}), thread_id="t", state=half.state)
    assert [getattr(one, "name", None) or one["function"]["name"] for one in model.tools[0]] == ["add", "pick_color"]
    assert said(half) == ["Paint", ""]
    assert said(done) == ["Paint", "", "Done."]
    assert model.said()[-2:] == [("tool", '{"color":"red"}'), ("tool", "blue")]
    assert [part["result"] for part in done.state["messages"][1]["parts"]] == [{"color": "red"}, "blue"]
