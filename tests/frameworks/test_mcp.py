"""Tools of MCP servers, called for an agent: what a page sees of the calls, and what the servers see."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters
from pydantic_ai import Agent as PydanticAIAgent
from pydantic_ai import FunctionToolset, Tool

from statecast import AddMessage, Agent, Run, create_app
from statecast.frameworks import open_mcp, run_pydantic_ai
from statecast.testing import TestClient
from tests.frameworks.mcp_server import Restaurants
from tests.frameworks.pydantic_models import Script
from tests.frameworks.pydantic_models import call as call_of

pytestmark = pytest.mark.anyio

Json = Any


def calling(server: Any, name: str, args: Json, /, **options: Any) -> Agent:
    """Return an agent that calls one tool for each message, and goes on when the user has answered."""
    agent = Agent()

    @agent.batch
    async def work(run: Run) -> None:
        async with open_mcp(server, **options) as tools:
            tool = next(tool for tool in tools if tool.name == name)
            if isinstance(run.commands[0], AddMessage):
                await tool.settle(run, run.messages.assistant().add_tool_call(name, args, id="call_1"), args)
            else:
                (call,) = run.messages.open_calls()
                assert tool.holds(run, call)
                await tool.resume(run, call, run.answers)

    return agent


def call_in(state: Json) -> Json:
    return state["messages"][1]["parts"][0]


@pytest.mark.parametrize(
    ("name", "args", "result", "is_error"),
    [
        ("count", {"dishes": ["a", "b"]}, 2, False),
        ("burn", {}, "Error executing tool burn", True),
    ],
    ids=["a value", "an error"],
)
async def test_the_result_of_a_tool_is_the_result_of_its_call(
    name: str, args: Json, result: Json, is_error: bool
) -> None:
    async with TestClient(calling(Restaurants().server, name, args)) as client:
        done = await client.run("Go")

    call = call_in(done.state)
    assert (call["result"], call["isError"]) == (result, is_error)
    assert "secret" not in str(done)


async def test_the_progress_of_a_tool_is_shown_while_it_works() -> None:
    kitchen = Restaurants()

    async with TestClient(calling(kitchen.server, "cook", {})) as client:
        running = asyncio.create_task(client.run("Cook", thread_id="t"))
        await asyncio.wait_for(kitchen.begun.wait(), 10)
        during: Json = None
        async with asyncio.timeout(10):
            while "progress" not in (during or {}):
                state = (await client.get("/threads/t/state")).json()["state"]
                during = call_in(state)
        kitchen.go_on.set()
        done = await running

    assert during["progress"] == {"progress": 1, "total": 3, "message": "chopping"}
    assert call_in(done.state)["result"] == {"portions": 2}
    assert "progress" not in call_in(done.state)


async def test_a_stop_reaches_the_server() -> None:
    kitchen = Restaurants()

    async with TestClient(calling(kitchen.server, "cook", {})) as client:
        running = asyncio.create_task(client.run("Cook", thread_id="t"))
        await asyncio.wait_for(kitchen.begun.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        stopped = await running

    assert stopped.error is None
    assert kitchen.cancelled


async def test_questions_of_a_server_wait_in_the_state_and_are_answered_apart_and_after_a_restart(
    tmp_path: Path,
) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    kitchen = Restaurants()
    agent = calling(kitchen.server, "book", {"place": "Noma"})

    async with TestClient(create_app(agent, store=store)) as client:
        asked = await client.run("Book", thread_id="t")
        guest, table = asked.state["pending"]
        status = (await client.get("/status/t")).json()["status"]
        one = {"type": "answer", "answers": {table["id"]: {"size": 4}}}
        between = await client.run(one, thread_id="t", state=asked.state)
    async with TestClient(create_app(agent, store=store)) as client:
        other = {"type": "answer", "answers": {guest["id"]: {"name": "Ann"}}}
        done = await client.run(other, thread_id="t", state=between.state)

    assert status == "waiting"
    assert (guest["prompt"], guest["kind"], guest["callId"]) == ("Who goes to Noma?", "input", "call_1")
    assert guest["schema"]["required"] == ["name"]
    assert [question["id"] for question in between.state["pending"]] == [guest["id"]]
    assert "result" not in call_in(between.state)
    assert call_in(done.state)["result"] == "Noma: Ann, 4"
    assert done.state["pending"] == []


async def test_a_server_that_was_started_anew_gets_the_answers_when_it_asks_the_same(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    answers: list[Json] = [{"size": 4}, {"name": "Ann"}]

    state: Json = None
    for answered in ([], [1], [0]):  # each by a server whose key for what it wants back is a new one
        agent = calling(Restaurants().server, "book", {"place": "Noma"})
        async with TestClient(create_app(agent, store=store)) as client:
            if not answered:
                state = (await client.run("Book", thread_id="t")).state
                questions = [question["id"] for question in state["pending"][::-1]]
            for place in answered:
                answer = {"type": "answer", "answers": {questions[place]: answers[place]}}
                state = (await client.run(answer, thread_id="t", state=state)).state

    assert call_in(state)["result"] == "Noma: Ann, 4"


async def test_a_question_that_the_user_declines_fails_the_call() -> None:
    async with TestClient(calling(Restaurants().server, "book", {"place": "Noma"})) as client:
        asked = await client.run("Book", thread_id="t")
        no = {"type": "answer", "answers": {question["id"]: False for question in asked.state["pending"]}}
        done = await client.run(no, thread_id="t", state=asked.state)

    assert call_in(done.state)["isError"] is True


async def test_the_app_of_a_tool_is_on_its_call_and_the_model_reads_the_text() -> None:
    async with TestClient(calling(Restaurants().server, "menu", {}, name="food")) as client:
        done = await client.run("Menu")

    call = call_in(done.state)
    assert call["mcp"] == {"app": {"resourceUri": "ui://menu/app.html", "serverId": "food"}}
    assert call["artifact"]["resource"] == {
        "uri": "ui://menu/app.html",
        "mimeType": "text/html;profile=mcp-app",
        "html": "<b>Menu</b>",
        "meta": {"prefersBorder": True},
    }
    assert call["result"]["structuredContent"] == {"dishes": ["soup"]}
    assert "soup" in call["modelContent"][0]["text"]


async def test_a_server_that_a_command_starts_is_used_in_the_same_way(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(
        "from mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('adder', log_level='CRITICAL')\n"
        "@server.tool()\n"
        "def add(a: int, b: int) -> int:\n"
        "    return a + b\n"
        "server.run()\n",
        "utf-8",
    )
    server = StdioServerParameters(command=sys.executable, args=[str(program)])

    async with TestClient(calling(server, "math_add", {"a": 1, "b": 2}, prefix="math_")) as client:
        done = await client.run("Add")

    assert call_in(done.state)["result"] == 3


async def test_a_tool_is_called_as_a_function_as_well() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def work(run: Run, command: AddMessage) -> None:
        async with open_mcp(Restaurants().server) as tools:
            count = next(tool for tool in tools if tool.name == "count")
            run.state["count"] = await count(dishes=["a"])

    async with TestClient(agent) as client:
        done = await client.run("Count")

    assert done.state["count"] == 1


async def test_the_tools_of_a_server_are_functions_for_other_frameworks() -> None:
    script = Script([call_of("count", '{"dishes": ["a", "b"]}', "call_1")], ["Two."])
    counter = PydanticAIAgent(script.model)
    agent = Agent()

    @agent.batch
    async def work(run: Run) -> None:
        async with open_mcp(Restaurants().server) as tools:
            given = [Tool.from_schema(one, one.name, one.description, one.parameters) for one in tools]
            await run_pydantic_ai(run, counter, toolsets=[FunctionToolset(given)])

    async with TestClient(agent) as client:
        done = await client.run("Count")

    assert [part.get("result", part.get("text")) for part in done.state["messages"][1]["parts"]] == [2, "Two."]


async def test_a_server_that_cannot_be_reached_fails_the_run_with_a_text_for_the_user() -> None:
    async with TestClient(calling("http://127.0.0.1:9/mcp", "any", {})) as client:
        failed = await client.run("Go")

    assert failed.code == "connection_failed"


async def test_an_error_within_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_mcp(Restaurants().server):
            raise KeyError("mine")
