"""What the adapter for Microsoft Agent Framework does beyond the cases that all adapters have in common."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from agent_framework import Agent, Content, tool
from agent_framework.exceptions import ChatClientContentFilterException

from statecast import Agent as StatecastAgent
from statecast import Run, create_app, current_run
from statecast.frameworks import MicrosoftAgent, explained, run_microsoft_agent
from statecast.testing import TestClient
from tests.frameworks.ms_clients import HANG, Script, call

pytestmark = pytest.mark.anyio

PAGE_TOOLS: dict[str, Any] = {"pick": {"description": "Pick.", "parameters": {"type": "object", "properties": {}}}}


async def test_a_tool_changes_the_state_of_the_thread() -> None:
    def add_stop(city: str) -> str:
        current_run().state.setdefault("stops", []).append(city)
        return "added"

    script = Script([call("add_stop", "c1", '{"city": "Rome"}')], ["Added."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[add_stop]))) as client:
        result = await client.run("Rome")

    assert result.state["stops"] == ["Rome"]
    assert [part["type"] for part in result.state["messages"][1]["parts"]] == ["tool-call", "text"]


async def test_tokens_are_counted_for_each_call_of_the_model() -> None:
    def look() -> str:
        return "nothing"

    script = Script([call("look", "c1")], [call("look", "c2")], ["Done."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[look]))) as client:
        result = await client.run("Look")

    metadata = result.state["messages"][1]["metadata"]
    assert metadata["steps"] == [{"usage": {"inputTokens": 7, "outputTokens": 3}}] * 3
    assert metadata["custom"]["finishReason"] == "stop"


async def test_a_text_that_a_model_takes_back_is_replaced() -> None:
    script = Script(["Draf", "t", Content.from_text("Final", merge_mode="replace")])
    async with TestClient(MicrosoftAgent(Agent(script))) as client:
        result = await client.run("Hi")

    assert result.state["messages"][1]["parts"] == [{"type": "text", "text": "Final"}]


async def test_arguments_that_come_whole_are_shown() -> None:
    def look(where: str) -> str:
        return f"nothing in the {where}"

    script = Script([call("look", "c1", {"where": "attic"})], ["Done."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[look]))) as client:
        result = await client.run("Look")

    shown = result.state["messages"][1]["parts"][0]
    assert (shown["args"], shown["result"]) == ({"where": "attic"}, "nothing in the attic")


async def test_detailed_errors_of_tools_are_for_the_model_only() -> None:
    def fails() -> str:
        raise RuntimeError("sk-secret")

    script = Script([call("fails", "c1")], ["It failed."])
    script.function_invocation_configuration["include_detailed_errors"] = True
    async with TestClient(MicrosoftAgent(Agent(script, tools=[fails]))) as client:
        result = await client.run("Go")

    shown = result.state["messages"][1]["parts"][0]
    assert (shown["isError"], shown["result"]) == (True, "A tool of the agent failed.")
    assert "sk-secret" in script.texts()[-1]
    assert "sk-secret" not in str(result.chunks)


@pytest.mark.parametrize("first", ["page", "approval"])
async def test_a_tool_of_the_server_an_approval_and_a_tool_of_the_page_mix_in_one_answer(first: str) -> None:
    def weather() -> str:
        return "sunny"

    @tool(approval_mode="always_require")
    def book() -> str:
        return "booked"

    script = Script([call("weather", "c1"), call("book", "c2"), call("pick", "c3")], ["All done."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[weather, book]))) as client:
        asked = await client.run("Go", thread_id="t", tools=PAGE_TOOLS)
        (question,) = asked.state["pending"]
        settle = {"type": "add-tool-result", "toolCallId": "c3", "result": "blue"}
        answer = {"type": "answer", "answers": {question["id"]: True}}
        commands: list[Any] = [settle, answer] if first == "page" else [answer, settle]
        half = await client.run(commands[0], thread_id="t", state=asked.state)
        done = await client.run(commands[1], thread_id="t", state=half.state)

    parts = done.state["messages"][1]["parts"]
    assert [part.get("result") for part in parts[:3]] == ["sunny", "booked", "blue"]
    assert len(script.asked) == 2
    assert parts[3] == {"type": "text", "text": "All done."}
    results = {text for text in script.texts() if text.startswith("result")}
    assert results == {"result: sunny", "result: booked", "result: blue"}
    assert script.tools[1] == ["weather", "book", "pick"], "as the page's answer may come from another page"


async def test_a_message_instead_of_answers_closes_approvals_and_calls_of_the_page() -> None:
    @tool(approval_mode="always_require")
    def book() -> str:
        raise AssertionError("it was not approved")

    script = Script([call("book", "c1"), call("pick", "c2")], ["Fine."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[book]))) as client:
        asked = await client.run("Go", thread_id="t", tools=PAGE_TOOLS)
        done = await client.run("Never mind", thread_id="t", state=asked.state)

    assert done.state["pending"] == []
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "Fine."}]
    assert len([text for text in script.texts() if text.startswith("result")]) == 2


async def test_an_approved_call_is_not_made_again_after_the_model_has_failed() -> None:
    booked: list[str] = []

    @tool(approval_mode="always_require")
    def book(room: str) -> str:
        booked.append(room)
        return f"booked {room}"

    script = Script([call("book", "c1", '{"room": "A"}')], [RuntimeError("sk-secret")], ["It is booked."], ["Yes."])
    async with TestClient(MicrosoftAgent(Agent(script, tools=[book]))) as client:
        asked = await client.run("Book", thread_id="t")
        answer = {"type": "answer", "answers": {asked.state["pending"][0]["id"]: True}}
        failed = await client.run(answer, thread_id="t", state=asked.state)
        done = await client.run("And?", thread_id="t")
        again = await client.run("Sure?", thread_id="t", state=done.state)

    assert failed.error is not None
    assert booked == ["A"]
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "It is booked."}]
    assert again.error is None
    assert script.texts(2) == ["user: Book", "call: book", "result: booked A", "user: And?"]
    assert script.texts(3) == [*script.texts(2), "assistant: It is booked.", "user: Sure?"]


async def test_what_a_stopped_answer_had_said_is_part_of_the_next_question() -> None:
    script = Script(["Hel", "lo", HANG], ["Bye"])
    async with TestClient(MicrosoftAgent(Agent(script))) as client:
        running = asyncio.create_task(client.run("Hi", thread_id="t"))
        await asyncio.wait_for(script.hung.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        await running
        await client.run("Again", thread_id="t")

    assert script.texts() == ["user: Hi", "assistant: Hello", "user: Again"]


async def test_the_messages_of_a_thread_that_is_new_to_the_framework_are_part_of_the_question() -> None:
    script = Script(["Sure."])
    messages = [
        {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]},
        {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "Hello"}]},
    ]
    async with TestClient(MicrosoftAgent(Agent(script))) as client:
        await client.run("Bye", state={"messages": messages})

    assert script.texts() == ["user: Hi", "assistant: Hello", "user: Bye"]


async def test_a_run_that_a_crash_cut_off_begins_anew_and_replaces_what_it_had_shown(tmp_path: Path) -> None:
    def look(where: str) -> str:
        return f"nothing in the {where}"

    scripts = [
        Script(["One. ", call("look", "c1", '{"where": "attic"}')], ["Tw", HANG]),
        Script(["Once more. ", call("look", "c2", '{"where": "cellar"}')], ["Two."]),
    ]
    first, second = (MicrosoftAgent(Agent(script, tools=[look]), restartable=True) for script in scripts)
    copy = tmp_path / "copy"
    async with TestClient(create_app(first, store=f"sqlite:///{tmp_path}/threads.db")) as client:
        running = asyncio.create_task(client.run("Go", thread_id="t"))
        await asyncio.wait_for(scripts[0].hung.wait(), 10)
        async with asyncio.timeout(10):
            while "Tw" not in str((await client.get("/threads/t/state")).json()["state"]):  # noqa: ASYNC110  # the server's
                await asyncio.sleep(0)
        copy.mkdir()
        for file in tmp_path.glob("threads.db*"):  # what a crash would leave
            shutil.copy(file, copy)
        await client.post("/cancel", json={"threadId": "t"})
        await running
    async with TestClient(create_app(second, store=f"sqlite:///{copy}/threads.db")) as client:
        async with asyncio.timeout(10):
            while (await client.get("/status/t")).json()["isRunning"]:  # noqa: ASYNC110  # the server's
                await asyncio.sleep(0)
        state = (await client.get("/threads/t/state")).json()["state"]

    parts = [part for message in state["messages"][1:] for part in message["parts"]]
    assert [part.get("text", part.get("result")) for part in parts] == ["Once more. ", "nothing in the cellar", "Two."]
    assert scripts[1].texts(0) == ["user: Go"]


async def test_a_handler_of_ones_own_runs_an_agent_and_gets_its_response() -> None:
    agent = StatecastAgent("mine")
    host = Agent(Script(["Hello"]))

    @agent.batch
    async def answer(run: Run) -> None:
        response = await run_microsoft_agent(run, host)
        assert response is not None
        run.state["said"] = response.text

    async with TestClient(create_app(agent)) as client:
        result = await client.run("Hi")

    assert result.state["said"] == "Hello"


def test_errors_of_the_framework_have_codes() -> None:
    error = explained(ChatClientContentFilterException("sk-secret"))

    assert error is not None
    assert error.code == "content_filtered"


def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(TypeError, match="expected an agent of Microsoft Agent Framework"):
        MicrosoftAgent("host")  # type: ignore[arg-type]  # what a user may get wrong


def test_options_that_no_function_makes_are_refused() -> None:
    with pytest.raises(TypeError, match="expected a function as options"):
        MicrosoftAgent(Agent(Script([])), options={})  # type: ignore[arg-type]  # what a user may get wrong
