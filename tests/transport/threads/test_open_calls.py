"""A model may number its calls anew in each turn: a result counts for the call of its own message, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from statecast import AddMessage, AddToolResult, Agent, Run
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.followers import state_of
from tests.transport.held_agent import said

pytestmark = pytest.mark.anyio


def asker() -> Agent:
    """Return an agent whose every answer to "ask" has an open call `call_0`."""
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        if command.message.text == "ask":
            message.add_tool_call("ask", {"q": 1}, id="call_0")
        else:
            message.append_text("said")

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f"got {command.result}")

    return agent


def answers_in(state: Json) -> list[dict[str, Any]]:
    return [message for message in state["messages"] if message["role"] == "assistant"]


def results_in(state: Json) -> list[Json]:
    return [
        part.get("result", "open")
        for message in state["messages"]
        for part in message["parts"]
        if part["type"] == "tool-call"
    ]


def ui(said: list[tuple[str, Json]]) -> tuple[str, Json]:
    """Return what the AI SDK posts of users' texts, and of answers with a result."""
    messages: list[Json] = []
    for id, what in said:
        if isinstance(what, str):
            messages.append({"id": id, "role": "user", "parts": [{"type": "text", "text": what}]})
        else:
            state = {"state": "output-available", "output": what[0]} if what else {"state": "input-available"}
            part = {"type": "tool-ask", "toolCallId": "call_0", "input": {"q": 1}, **state}
            messages.append({"id": id, "role": "assistant", "parts": [part]})
    return "/chat", {"id": "t", "messages": messages}


def model(said: list[tuple[str, Json]]) -> tuple[str, Json]:
    messages: list[Json] = []
    for _, what in said:
        if isinstance(what, str):
            messages.append({"role": "user", "content": [{"type": "text", "text": what}]})
            continue
        call = {"type": "tool-call", "toolCallId": "call_0", "toolName": "ask", "input": {"q": 1}}
        messages.append({"role": "assistant", "content": [call]})
        output = {"type": "json", "value": what[0]} if what else {"type": "error-json", "value": OPEN}
        messages.append(
            {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "call_0", "output": output}]}
        )
    parent = next(id for id, what in reversed(said) if isinstance(what, str))
    return "/chat?protocol=data-stream", {"threadId": "t", "parentId": parent, "messages": messages}


OPEN = {"error": "Tool call was not completed"}


def ag_ui(said: list[tuple[str, Json]]) -> tuple[str, Json]:
    messages: list[Json] = []
    call = {"id": "call_0", "type": "function", "function": {"name": "ask", "arguments": '{"q":1}'}}
    for id, what in said:
        if isinstance(what, str):
            messages.append({"id": id, "role": "user", "content": what})
            continue
        messages.append({"id": id, "role": "assistant", "toolCalls": [call]})
        if what:
            messages.append({"id": f"{id} r", "role": "tool", "toolCallId": "call_0", "content": what[0]})
    return "/ag-ui", {"threadId": "t", "runId": "r", "messages": messages, "tools": [{"name": "ask"}]}


def openai(said: list[tuple[str, Json]]) -> tuple[str, Json]:
    messages: list[Json] = []
    call = {"id": "call_0", "type": "function", "function": {"name": "ask", "arguments": '{"q":1}'}}
    for _, what in said:
        if isinstance(what, str):
            messages.append({"role": "user", "content": what})
            continue
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        if what:
            messages.append({"role": "tool", "tool_call_id": "call_0", "content": what[0]})
    return "/v1/chat/completions", {"model": "agent", "messages": messages, "metadata": {"thread_id": "t"}}


def local(said: list[tuple[str, Json]]) -> tuple[str, Json]:
    messages: list[Json] = []
    for id, what in said:
        if isinstance(what, str):
            messages.append({"id": id, "role": "user", "content": what})
            continue
        call = {"type": "tool-call", "toolCallId": "call_0", "toolName": "ask", "args": {"q": 1}}
        messages.append({"id": id, "role": "assistant", "content": [{**call, "result": what[0]} if what else call]})
    return "/json", {"threadId": "t", "messages": messages}


@pytest.mark.parametrize("post", [ui, model, ag_ui, openai, local])
async def test_an_answer_of_an_earlier_turn_answers_no_later_call(post: Any) -> None:
    turns: list[tuple[str, Json]] = [("u1", "ask")]
    async with TestClient(asker()) as client:

        async def go(*more: tuple[str, Json]) -> list[Json]:
            turns.extend(more)
            path, body = post(turns)
            response = await client.post(path, json=body)
            assert response.status == 200, response.content
            return results_in(await state_of(client))

        assert await go() == ["open"]
        first, *_ = answers_in(await state_of(client))
        assert await go((first["id"], ["YES"])) == ["YES"]
        assert await go(("u2", "ask")) == ["YES", "open"]
        second = answers_in(await state_of(client))[-1]
        if post is not openai:  # which refuses calls that nobody has answered
            assert await go((second["id"], []), ("u3", "never mind")) == ["YES", "open"]
            turns[3:] = []
        assert await go((second["id"], ["NO"])) == ["YES", "NO"]


async def test_a_result_may_name_the_message_of_its_call() -> None:
    result = {"type": "add-tool-result", "toolCallId": "call_0", "toolName": "ask", "result": "first"}
    async with TestClient(asker()) as client:
        for _ in range(2):
            await client.run(said("ask"), thread_id="t", state={})
        first, second = (message["id"] for message in answers_in(await state_of(client)))
        unknown = await client.run({**result, "messageId": "none"}, thread_id="t")
        await client.run({**result, "messageId": first}, thread_id="t")
        twice = await client.run({**result, "messageId": first}, thread_id="t")
        assert results_in(await state_of(client)) == ["first", "open"]
        await client.run({**result, "messageId": second, "result": "second"}, thread_id="t")

        assert results_in(await state_of(client)) == ["first", "second"]
    assert (unknown.code, twice.code) == ("unknown_tool_call", "tool_call_settled")
