"""Messages and tool results that do not fit the conversation, at acceptance and when a queued command's turn comes."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from statecast import Agent, AssistantMessage, Run, UntypedCommand
from statecast.state import Json
from statecast.testing import Result, TestClient
from tests.transport.held_agent import HOLD, held, said, until

pytestmark = pytest.mark.anyio

CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "ask", "args": {}, "argsText": "{}"}
TALK = {
    "messages": [
        {"id": "one", "role": "user", "parts": [{"type": "text", "text": "hello"}]},
        {"id": "two", "role": "assistant", "parts": [CALL, {**CALL, "toolCallId": "done", "result": 1}]},
    ]
}


def answered(call: str, result: Json = "yes", **fields: Json) -> dict[str, Json]:
    return {"type": "add-tool-result", "toolCallId": call, "toolName": "ask", "result": result, **fields}


CONFLICTS = [
    ([said("x", parentId="nowhere", sourceId="one")], "unknown_parent"),
    ([answered("nowhere")], "unknown_tool_call"),
    ([answered("done")], "tool_call_settled"),
    ([answered("c"), answered("c")], "tool_call_settled"),
    ([said("x", parentId=None, sourceId="one"), answered("c")], "unknown_tool_call"),
]
IDS = ["edit", "unknown call", "settled call", "twice in a batch", "cut off by an edit before"]


@pytest.mark.parametrize(("commands", "code"), CONFLICTS, ids=IDS)
async def test_a_conflict_is_refused_and_changes_nothing(commands: list[dict[str, Json]], code: str) -> None:
    async with TestClient(Agent()) as client:
        await client.run(state=TALK, thread_id="t")
        before = (await client.get("/threads/t/state")).json()
        refused = await client.run(said("before"), *commands, thread_id="t", state=TALK)
        assert (refused.status, refused.code) == (409, code)
        assert (await client.get("/threads/t/state")).json() == before
        assert before["state"] == TALK


@pytest.mark.parametrize(("commands", "code"), CONFLICTS, ids=IDS)
async def test_a_conflict_of_a_queued_command_fails_its_run(commands: list[dict[str, Json]], code: str) -> None:
    agent, release = held()
    results: list[Result] = []

    async def ask(client: TestClient) -> None:
        results.append(await client.run(said("before"), *commands, thread_id="t"))

    body = {"commands": [HOLD], "threadId": "t", "state": TALK}
    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=body) as first:
        await first.read_until(b"held")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            await until(partial(_queued, client))
            release.set()
        await first.read()
    assert results[0].code == code
    assert results[0].state["messages"] == TALK["messages"]


def _queued(client: TestClient) -> bool:
    app: Any = client.app
    thread = app.hub.loaded("t")
    return thread is not None and bool(thread.inbox)


async def test_a_tool_result_settles_its_call() -> None:
    async with TestClient(Agent()) as client:
        result = await client.run(answered("c", {"a": 1}, artifact=[1], isError=True), state=TALK)

    settled = {**CALL, "result": {"a": 1}, "isError": True, "artifact": [1]}
    assert result.state["messages"][1]["parts"][0] == settled


async def test_an_agent_that_keeps_its_own_messages_is_not_checked() -> None:
    agent = Agent(messages=None)
    seen: list[str] = []

    @agent.on("add-message", "add-tool-result")
    async def keep(run: Run, command: UntypedCommand) -> None:
        seen.append(command.type)

    async with TestClient(agent) as client:
        result = await client.run(said("x", parentId="nowhere", sourceId="y"), answered("nowhere"), state={})
    assert (result.error, result.state, seen) == (None, {}, ["add-message", "add-tool-result"])


@pytest.mark.parametrize("state", [{"messages": 1}, {"messages": {}}, [], "text", 5, {"messages": "x"}])
async def test_a_state_with_something_else_for_messages_takes_none(state: Json) -> None:
    async with TestClient(Agent()) as client:
        assert (await client.run("hello", state=state)).code == "no_messages"


@pytest.mark.parametrize(
    "messages", [[1, None, "x", []], [{}], [{"id": None}], [{"id": [1]}], [{"id": "a", "parts": 5}], [{"parts": [1]}]]
)
async def test_odd_messages_in_a_state_do_no_harm(messages: Json) -> None:
    async with TestClient(Agent()) as client:
        said_so = await client.run("hello", state={"messages": messages})
        edited = await client.run(said("x", parentId=None, sourceId="a"), state={"messages": messages})
        unknown = await client.run(answered("nowhere"), state={"messages": messages})

    assert said_so.state["messages"][:-1] == messages
    assert len(edited.state["messages"]) == 1
    assert unknown.code == "unknown_tool_call"


async def test_a_client_speaks_for_the_user_only() -> None:
    command = said("x")
    command["message"]["role"] = "assistant"
    async with TestClient(Agent()) as client:
        refused = await client.run("hello", command, thread_id="t")
        assert (refused.status, refused.code) == (422, "role_not_allowed")
        assert (await client.get("/status/t")).status == 404
    async with TestClient(Agent(allow_assistant=True)) as client:
        assert (await client.run(command)).state["messages"][0]["role"] == "assistant"


async def test_a_call_left_open_is_answered_by_the_next_request() -> None:
    agent = Agent()

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        run.messages.assistant().add_tool_call("ask", {"q": 1}, id="c")

    @agent.on("add-tool-result")
    async def go_on(run: Run, command: UntypedCommand) -> None:
        assert isinstance(run.messages.last_assistant(), AssistantMessage)
        run.messages.last_assistant().append_text("Thank you.")

    async with TestClient(agent) as client:
        asked = await client.run({"type": "ask"})
        assert "result" not in asked.state["messages"][0]["parts"][0]
        done = await client.run(answered("c"), state=asked.state, thread_id=asked.thread_id)
    assert [part["type"] for part in done.state["messages"][0]["parts"]] == ["tool-call", "text"]


@pytest.mark.parametrize("depth", range(108, 122))
async def test_what_is_too_deep_for_the_state_is_refused_and_all_else_applied(depth: int) -> None:
    deep: Json = 1
    for _ in range(depth):
        deep = [deep]
    message = said("x")
    message["message"]["parts"].append({"type": "thing", "value": deep})
    async with TestClient(Agent()) as client:
        for command in (message, answered("c", deep)):
            result = await client.run(command, state=TALK)
            assert (result.status, result.code) in [(200, None), (422, "too_deep")]
            assert result.status == 200 or depth > 110
