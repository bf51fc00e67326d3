"""A LangGraph agent in a thread: what its page sees, and what its model gets."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph

from statecast import AddMessage, Agent, Run, current_run
from statecast.frameworks import LangGraphAgent, page_tools_middleware, run_graph
from statecast.testing import Result, TestClient
from tests.frameworks.langgraph_model import HANG, ScriptedModel, Synchronous, call, end, piece

pytestmark = pytest.mark.anyio


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def subtract(a: int, b: int) -> int:
    """Subtract a number from another."""
    return a - b


def an_agent(model: ScriptedModel, *tools: Any) -> LangGraphAgent:
    return LangGraphAgent(create_agent(model, [*tools], checkpointer=InMemorySaver()))


def texts(result: Result) -> list[tuple[str, str]]:
    """Return the roles and texts of the messages in a state."""
    return [
        (message["role"], "".join(part["text"] for part in message["parts"] if part["type"] == "text"))
        for message in result.state["messages"]
    ]


def calls(result: Result, index: int = -1) -> list[Any]:
    return [part for part in result.state["messages"][index]["parts"] if part["type"] == "tool-call"]


def edit(text: str, result: Result, at: int, *, id: str | None = None) -> dict[str, Any]:
    """Return the command that replaces a message of the user, or asks for another answer to it."""
    messages = result.state["messages"]
    message: dict[str, Any] = {"role": "user", "parts": [{"type": "text", "text": text}]}
    parent = messages[at - 1]["id"] if at else None
    source = messages[at]["id"]
    return {
        "type": "add-message",
        "message": message if id is None else {**message, "id": id},
        "parentId": parent,
        "sourceId": source,
    }


async def test_two_calls_whose_arguments_interleave_get_their_results() -> None:
    model = ScriptedModel(
        answers=[
            [
                "Let me ",
                "see.",
                call(0, '{"a"', id="c-1", name="add"),
                call(1, id="c-2", name="subtract"),
                call(0, ': 1, "b": 2}'),
                call(1, '{"a": 5, "b": 3}'),
            ],
            ["Three ", "and two.", end(30, 4)],
        ]
    )
    async with TestClient(an_agent(model, add, subtract)) as client:
        result = await client.run("hi")
    assert texts(result) == [("user", "hi"), ("assistant", "Let me see."), ("assistant", "Three and two.")]
    assert [(one["toolCallId"], one["args"], one["result"]) for one in calls(result, 1)] == [
        ("c-1", {"a": 1, "b": 2}, "3"),
        ("c-2", {"a": 5, "b": 3}, "2"),
    ]
    assert [one["argsText"] for one in calls(result, 1)] == ['{"a": 1, "b": 2}', '{"a": 5, "b": 3}']


async def test_a_message_that_gets_its_id_in_its_middle_stays_one() -> None:
    model = ScriptedModel(answers=[["o", piece("n", id="resp-1"), piece("e", id="resp-1"), end(1, 1)]])
    async with TestClient(an_agent(model)) as client:
        result = await client.run("hi")
    assert texts(result)[1:] == [("assistant", "one")]
    assert result.state["messages"][1]["id"] == "resp-1"


async def test_tokens_model_and_finish_reason_are_in_the_metadata() -> None:
    model = ScriptedModel(answers=[["Yes.", end(12, 5)]])
    async with TestClient(an_agent(model)) as client:
        result = await client.run("hi")
    assert result.state["messages"][1]["metadata"] == {
        "steps": [{"usage": {"inputTokens": 12, "outputTokens": 5}}],
        "custom": {"modelId": "m-1", "finishReason": "stop"},
    }


async def test_reasoning_is_a_part_of_its_own() -> None:
    thinking = piece("", additional_kwargs={"reasoning_content": "Hm."})
    model = ScriptedModel(answers=[[thinking, "Yes."]])
    async with TestClient(an_agent(model)) as client:
        result = await client.run("hi")
    parts = result.state["messages"][1]["parts"]
    assert parts == [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Yes."}]


async def test_an_edit_goes_back_in_the_graphs_history() -> None:
    model = ScriptedModel(answers=[["one"], ["two"], ["edited"], ["again"], ["first"]])
    async with TestClient(an_agent(model)) as client:
        await client.run("a", thread_id="t")
        before = await client.run("b", thread_id="t")
        edited = await client.run(edit("c", before, 2), thread_id="t")
        assert texts(edited)[2:] == [("user", "c"), ("assistant", "edited")]
        assert model.said() == [("human", "a"), ("ai", "one"), ("human", "c")]

        id = edited.state["messages"][2]["id"]
        again = await client.run(edit("c", edited, 2, id=id), thread_id="t")
        assert texts(again)[2:] == [("user", "c"), ("assistant", "again")]
        assert model.said() == [("human", "a"), ("ai", "one"), ("human", "c")]

        first = await client.run(edit("d", again, 0), thread_id="t")
    assert texts(first) == [("user", "d"), ("assistant", "first")]
    assert model.said() == [("human", "d")]


async def test_a_stop_reaches_the_model_and_the_next_message_goes_on() -> None:
    model = ScriptedModel(answers=[["begun", HANG], ["after"]])
    async with TestClient(an_agent(model)) as client:
        running = asyncio.create_task(client.run("a", thread_id="t"))
        await asyncio.wait_for(model.hanging.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        stopped = await running
        assert model.stopped == 1
        assert texts(stopped)[1:] == [("assistant", "begun")]
        assert stopped.state["messages"][1]["status"] == {"type": "incomplete", "reason": "cancelled"}

        after = await client.run("b", thread_id="t")
    assert [text for _, text in texts(after)] == ["a", "begun", "b", "after"]


async def test_calls_without_results_are_answered_before_the_next_message() -> None:
    begun = asyncio.Event()

    @tool
    async def slow() -> str:
        """Take forever."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    model = ScriptedModel(answers=[[call(0, "{}", id="c-1", name="slow")], ["after"]])
    async with TestClient(an_agent(model, slow)) as client:
        running = asyncio.create_task(client.run("a", thread_id="t"))
        await asyncio.wait_for(begun.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        await running
        after = await client.run("b", thread_id="t")
    assert [kind for kind, _ in model.said()] == ["human", "ai", "tool", "human"]
    assert texts(after)[-1] == ("assistant", "after")


async def test_an_error_of_a_model_ends_the_run_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    model = ScriptedModel(answers=[["beg", RuntimeError("the key is hunter2")], ["after"]])
    async with TestClient(an_agent(model)) as client:
        failed = await client.run("a", thread_id="t")
        after = await client.run("b", thread_id="t")
    assert failed.code == "agent_failed"
    assert "hunter2" not in str(failed.chunks)
    assert "hunter2" in caplog.text
    assert failed.state["messages"][1]["status"] == {"type": "incomplete", "reason": "error"}
    assert texts(after)[-1] == ("assistant", "after")


async def test_a_graph_without_end_fails_with_a_code_of_its_own() -> None:
    model = ScriptedModel(answers=[[call(0, "{}", id="c-1", name="unknown")]] * 3)
    agent = LangGraphAgent(create_agent(model, [add], checkpointer=InMemorySaver()), config={"recursion_limit": 2})
    async with TestClient(agent) as client:
        failed = await client.run("a")
    assert failed.code == "step_limit_reached"


async def test_what_tools_stream_is_in_the_state() -> None:
    @tool
    def report() -> str:
        """Report."""
        write = get_stream_writer()
        write({"progress": 10})
        write({"progress": 100, "files": ["a"]})
        return "done"

    model = ScriptedModel(answers=[[call(0, "{}", id="c-1", name="report")], ["ok"]])
    async with TestClient(an_agent(model, report)) as client:
        result = await client.run("a")
    assert result.state["custom"] == {"progress": 100, "files": ["a"]}


async def test_a_sub_agent_speaks_at_its_call_and_not_in_the_conversation() -> None:
    inner = ScriptedModel(answers=[["look", "ing", call(0, '{"a": 1, "b": 2}', id="k-1", name="add")], ["found it"]])
    researcher = create_agent(inner, [add], name="researcher")

    @tool
    async def research(question: str) -> str:
        """Look something up."""
        found = await researcher.ainvoke({"messages": [{"role": "user", "content": question}]})
        return str(found["messages"][-1].text)

    model = ScriptedModel(answers=[[call(0, '{"question": "why"}', id="c-1", name="research")], ["because"]])
    async with TestClient(an_agent(model, research)) as client:
        result = await client.run("a")
    assert texts(result) == [("user", "a"), ("assistant", ""), ("assistant", "because")]
    (one,) = calls(result, 1)
    assert one["result"] == "found it"
    assert [message["role"] for message in one["messages"]] == ["user", "assistant", "assistant"]


async def test_a_subgraph_speaks_in_the_conversation_only_if_it_shares_the_messages() -> None:
    writer = create_agent(ScriptedModel(answers=[["one ", "two"]]), [], name="writer")
    other = ScriptedModel(answers=[["secret"]])
    helper = create_agent(other, [], name="helper")

    async def ask_helper(state: Any) -> Any:
        await helper.ainvoke({"messages": [{"role": "user", "content": "psst"}]})
        return {"messages": [AIMessage("done", id="m-9")]}

    graph = StateGraph(MessagesState)
    graph.add_node("writer", writer)
    graph.add_node("helper", ask_helper)
    graph.add_edge(START, "writer")
    graph.add_edge("writer", "helper")
    async with TestClient(LangGraphAgent(graph.compile(checkpointer=InMemorySaver()))) as client:
        result = await client.run("a")
    assert [text for _, text in texts(result)] == ["a", "one two", "done"]
    ((namespace, shown),) = result.state["subgraphs"].items()
    assert namespace.startswith("helper:")
    assert shown["name"] == "helper"
    assert result.state["messages"][1]["metadata"]["custom"]["agent"] == "writer"
    assert [message["parts"][0]["text"] for message in shown["messages"]] == ["psst", "secret"]


async def test_a_subgraph_that_shares_the_messages_streams_its_tokens() -> None:
    model = ScriptedModel(answers=[["token", HANG]])
    graph = StateGraph(MessagesState)
    graph.add_node("writer", create_agent(model, [], name="writer"))
    graph.add_edge(START, "writer")
    async with TestClient(LangGraphAgent(graph.compile(checkpointer=InMemorySaver()))) as client:
        running = asyncio.create_task(client.run("a", thread_id="t"))
        await asyncio.wait_for(model.hanging.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        stopped = await running
    assert texts(stopped) == [("user", "a"), ("assistant", "token")]


async def test_an_answer_that_the_graph_does_not_keep_leaves_the_page() -> None:
    router, model = ScriptedModel(answers=[["maybe"]]), ScriptedModel(answers=[["answer"]])

    async def route(state: Any) -> Any:
        await router.ainvoke(state["messages"])
        return {}

    async def answer(state: Any) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("route", route)
    graph.add_node("answer", answer)
    graph.add_edge(START, "route")
    graph.add_edge("route", "answer")
    async with TestClient(LangGraphAgent(graph.compile(checkpointer=InMemorySaver()))) as client:
        result = await client.run("a")
    assert texts(result) == [("user", "a"), ("assistant", "answer")]


async def test_what_makes_no_sense_is_refused_at_once() -> None:
    graph: Any = StateGraph(MessagesState)
    with pytest.raises(TypeError, match="call its compile"):
        LangGraphAgent(graph)
    with pytest.raises(ValueError, match="messages=None"):
        LangGraphAgent(create_agent(ScriptedModel(answers=[]), []), messages=None)
    with pytest.raises(ValueError, match='expected a graph whose state has "said", got messages'):
        LangGraphAgent(create_agent(ScriptedModel(answers=[]), []), channel="said")


async def test_settings_of_the_shown_state_that_make_no_sense_are_refused() -> None:
    graph = create_agent(ScriptedModel(answers=[]), [])
    with pytest.raises(ValueError, match="apart from the messages as values"):
        LangGraphAgent(graph, values="messages")
    with pytest.raises(ValueError, match="expected values beside select"):
        LangGraphAgent(graph, select=["todos"])
    with pytest.raises(TypeError, match=r'got the text "todos"; write \["todos"\]'):
        LangGraphAgent(graph, values="agent", select="todos")


async def test_a_page_tool_without_langchain_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.agents.middleware", None)
    monkeypatch.delitem(sys.modules, "statecast_agents.frameworks.langgraph.page_tools", raising=False)
    with pytest.raises(ModuleNotFoundError, match="pip install 'statecast"):
        page_tools_middleware()


async def test_tools_find_their_run_also_in_threads() -> None:
    found: list[Run] = []

    @tool
    def in_thread() -> str:
        """Look."""
        found.append(current_run())
        current_run().state["seen"] = threading.current_thread() is not threading.main_thread()
        return "ok"

    @tool
    async def in_task() -> str:
        """Look."""
        found.append(current_run())
        return "ok"

    both = [call(0, "{}", id="c-1", name="in_thread"), call(1, "{}", id="c-2", name="in_task")]
    async with TestClient(an_agent(ScriptedModel(answers=[both, ["ok"]]), in_thread, in_task)) as client:
        result = await client.run("a")
    assert len({run.id for run in found}) == 1
    assert result.state["seen"] is True


async def test_a_graph_with_a_synchronous_checkpointer_is_stopped_like_any_other() -> None:
    model = ScriptedModel(answers=[["begun", HANG], ["after"]])
    agent = LangGraphAgent(create_agent(model, [], checkpointer=Synchronous()))
    async with TestClient(agent) as client:
        running = asyncio.create_task(client.run("a", thread_id="t"))
        await asyncio.wait_for(model.hanging.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        await running
        after = await client.run("b", thread_id="t")
    assert model.stopped == 1
    assert [text for _, text in texts(after)] == ["a", "begun", "b", "after"]


async def test_a_handler_of_ones_own_runs_a_graph_and_does_more() -> None:
    graph = create_agent(ScriptedModel(answers=[["one"]]), [], checkpointer=InMemorySaver())
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await run_graph(run, graph)
        run.state["done"] = True

    async with TestClient(agent) as client:
        result = await client.run("a")
    assert texts(result) == [("user", "a"), ("assistant", "one")]
    assert result.state["done"] is True


async def test_a_command_of_the_apps_own_does_not_go_on_with_a_stopped_graph() -> None:
    model = ScriptedModel(answers=[["begun", HANG]])
    agent = LangGraphAgent(create_agent(model, [], checkpointer=InMemorySaver()), commands=["refresh"])
    async with TestClient(agent) as client:
        running = asyncio.create_task(client.run("a", thread_id="t"))
        await asyncio.wait_for(model.hanging.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        await running
        refreshed = await client.run({"type": "refresh"}, thread_id="t")
    assert refreshed.error is None
    assert len(model.asked) == 1
