"""The documented LangGraph backend: a graph's own events, in the state and on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph

from statecast.compat.assistant_stream import RunController, create_run
from statecast.compat.assistant_stream.assistant_stream_chunk import UpdateStateChunk
from statecast.compat.assistant_stream.modules.langgraph import append_langgraph_event, get_tool_call_subgraph_state

pytestmark = pytest.mark.anyio


async def run_of(callback: Any, state: Any = None) -> tuple[Any, list[Any]]:
    """Return the state at the end of a run, and its operations."""
    states: list[Any] = []

    async def wrapped(controller: RunController) -> None:
        await callback(controller)
        states.append(controller.state)

    chunks = [chunk async for chunk in create_run(wrapped, state=state)]
    return states[0], [one for chunk in chunks if isinstance(chunk, UpdateStateChunk) for one in chunk.operations]


async def test_a_graphs_answer_streams_into_one_message() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage(content="The weather is sunny")]))

    async def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("call", call).add_edge(START, "call").compile()

    async def callback(controller: RunController) -> None:
        async for namespace, event, chunk in graph.astream(
            {"messages": [HumanMessage("What is the weather?")]}, stream_mode=["messages", "updates"], subgraphs=True
        ):
            append_langgraph_event(controller.state, namespace, event, chunk)
            controller.flush()

    state, operations = await run_of(callback, {})
    assert [message["content"] for message in state["messages"]] == ["The weather is sunny"]
    assert state["messages"][0]["type"] == "ai"
    grown = [one["value"] for one in operations if one["type"] == "append-text"]
    assert "".join(grown).endswith(" is sunny")


async def test_chunks_of_arguments_merge_and_change_only_what_differs() -> None:
    pieces = ['{"city": ', '"Bern"}']

    async def callback(controller: RunController) -> None:
        for piece in pieces:
            call: Any = {"name": "weather" if piece == pieces[0] else None, "args": piece, "id": "c1", "index": 0}
            chunk = AIMessageChunk(content="", id="m1", tool_call_chunks=[call])
            append_langgraph_event(controller.state, (), "messages", (chunk, {}))
            controller.flush()

    state, operations = await run_of(callback, {})
    assert state["messages"][0]["tool_calls"][0]["args"] == {"city": "Bern"}
    assert {"type": "append-text", "path": ["messages", "0", "tool_call_chunks", "0", "args"], "value": '"Bern"}'} in (
        operations
    )


async def test_the_last_chunk_brings_what_is_no_text() -> None:
    async def callback(controller: RunController) -> None:
        usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        last: Any = AIMessageChunk(content="b", id="m1", usage_metadata=usage, response_metadata={"model": "m"})
        for chunk in (AIMessageChunk(content="a", id="m1"), last):
            append_langgraph_event(controller.state, (), "messages", (chunk, {}))

    state, _ = await run_of(callback, {})
    (message,) = state["messages"]
    assert (message["content"], message["usage_metadata"]["total_tokens"]) == ("ab", 3)
    assert message["response_metadata"] == {"model": "m"}


async def test_updates_set_channels_and_other_messages_replace_theirs() -> None:
    async def callback(controller: RunController) -> None:
        add = append_langgraph_event
        add(controller.state, (), "messages", (ToolMessage("old", tool_call_id="c1", id="t1"), {}))
        add(controller.state, (), "messages", (ToolMessage("new", tool_call_id="c1", id="t1"), {}))
        add(controller.state, (), "updates", {"node": {"status": "done", "messages": []}, "other": None})
        add(controller.state, (), "values", {"left": "out"})

    state, _ = await run_of(callback, {})
    assert [message["content"] for message in state["messages"]] == ["new"]
    assert state["status"] == "done"
    assert "left" not in state


async def test_a_subgraphs_state_is_the_artifact_of_its_call() -> None:
    async def callback(controller: RunController) -> None:
        call = {"name": "research", "args": {}, "id": "c1", "type": "tool_call"}
        message = AIMessage("", id="m1", tool_calls=[call])
        append_langgraph_event(controller.state, (), "messages", (message, {}))
        for text in ("one", "two"):
            inner = get_tool_call_subgraph_state(
                controller, ("tools:1",), "tools", {"notes": []}, artifact_field_name="state", tool_name="research"
            )
            inner["notes"].append(text)
        assert get_tool_call_subgraph_state(controller, ("agent:1",), "tools", {}) is controller.state

    state, _ = await run_of(callback, {})
    assert state["messages"][1]["artifact"] == {"state": {"notes": ["one", "two"]}}
    assert state["messages"][1]["tool_call_id"] == "c1"


async def test_a_state_that_is_none_becomes_the_default() -> None:
    async def callback(controller: RunController) -> None:
        get_tool_call_subgraph_state(controller, (), "tools", {"messages": []})

    assert (await run_of(callback))[0] == {"messages": []}
