"""Agents of Pydantic AI, served: what a page sees of their runs, and what their models see of the page."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent as PydanticAIAgent
from pydantic_ai import CustomEvent, ModelRetry, RunContext, ToolReturn
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ThinkingPart

from statecast import Agent, Run, create_app, current_run
from statecast.frameworks import PydanticAgent, run_pydantic_ai, sub_agent_events
from statecast.testing import TestClient
from tests.frameworks.pydantic_models import HANG, Script, call, think

pytestmark = pytest.mark.anyio

Json = Any


@dataclass
class Deps:
    state: Json


def parts_of(state: Json, index: int = -1) -> list[Json]:
    parts: list[Json] = state["messages"][index]["parts"]
    return parts


async def test_texts_thinking_and_interleaved_calls_are_parts_of_one_message() -> None:
    script = Script(
        [
            think("Let me "),
            think("think.", signature="sig"),
            "Look",
            "ing. ",
            call("look", '{"city":', "a", index=1),
            call("look", '{"city":', "b", index=2),
            call("", '"Bonn"}', index=1),
            call("", '"Cologne"}', index=2),
        ],
        ["Both are ", "sunny."],
    )
    agent = PydanticAIAgent(script.model)

    @agent.tool_plain
    def look(city: str) -> dict[str, str]:
        return {"city": city, "sky": "sunny"}

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("How is the weather?")

    assert [message["role"] for message in result.state["messages"]] == ["user", "assistant"]
    thinking, text, bonn, cologne, answer = parts_of(result.state)
    assert (thinking["type"], thinking["text"]) == ("reasoning", "Let me think.")
    assert (text["text"], answer["text"]) == ("Looking. ", "Both are sunny.")
    assert (bonn["toolCallId"], bonn["args"], bonn["argsText"]) == ("a", {"city": "Bonn"}, '{"city":"Bonn"}')
    assert (cologne["args"], cologne["result"]) == ({"city": "Cologne"}, {"city": "Cologne", "sky": "sunny"})
    assert not cologne["isError"]


async def test_the_history_stays_on_the_server_with_what_the_page_lacks() -> None:
    script = Script([think("Hm.", signature="sig"), "Hello."], ["Still here."])

    async with TestClient(PydanticAgent(PydanticAIAgent(script.model))) as client:
        first = await client.run("Hi", thread_id="t")
        await client.run("Again", thread_id="t", state=first.state)

    assert script.texts() == ["user-prompt: Hi", "thinking: Hm.", "text: Hello.", "user-prompt: Again"]
    thinking = script.asked[-1][1].parts[0]
    assert isinstance(thinking, ThinkingPart)
    assert thinking.signature == "sig"
    assert "sig" not in str(first.state)


async def test_a_history_that_cannot_be_read_is_replaced_by_the_messages(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(["Hello."], ["Still here."], ["And here."])
    framework = PydanticAIAgent(script.model)
    agent = Agent()

    @agent.batch
    async def work(run: Run) -> None:
        if run.messages[-1].text == "Again":
            run.memory["pydantic_ai:0"] = b"[1]"
        await run_pydantic_ai(run, framework)

    async with TestClient(agent) as client:
        state: Json = None
        for text in ("Hi", "Again", "Once more"):
            state = (await client.run(text, thread_id="t", state=state)).state

    assert "cannot read the history of thread t" in caplog.text
    assert script.texts(1) == ["user-prompt: Hi", "text: Hello.", "user-prompt: Again"]
    assert script.texts(2) == [*script.texts(1), "text: Still here.", "user-prompt: Once more"]


@pytest.mark.parametrize("wrong", ["agent", "messages"])
def test_settings_that_make_no_sense_are_refused(wrong: str) -> None:
    framework: Any = object() if wrong == "agent" else PydanticAIAgent(Script().model)
    with pytest.raises((TypeError, ValueError), match="expected"):
        PydanticAgent(framework, messages=None)


def test_dependencies_that_no_function_makes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"write deps=lambda run: …"):
        PydanticAgent(PydanticAIAgent(Script().model), deps={})  # type: ignore[arg-type]  # what a user may get wrong


async def test_a_stopped_answer_goes_on_at_the_next_prompt() -> None:
    script = Script(["Once upon", HANG], [" a time."])

    async with TestClient(PydanticAgent(PydanticAIAgent(script.model))) as client:
        running = asyncio.create_task(client.run("Tell me a story", thread_id="t"))
        await asyncio.wait_for(script.hung.wait(), 10)
        await client.post("/cancel", json={"threadId": "t"})
        stopped = await running
        await client.run("Go on", thread_id="t", state=stopped.state)

    assert script.stopped == 1
    assert stopped.error is None
    assert parts_of(stopped.state)[0]["text"] == "Once upon"
    assert script.texts() == ["user-prompt: Tell me a story", "text: Once upon", "user-prompt: Go on"]


async def test_a_tool_that_retries_shows_an_error_and_its_next_call() -> None:
    script = Script([call("guess", '{"n": 1}', "a")], [call("guess", '{"n": 2}', "b")], ["Right."])
    agent = PydanticAIAgent(script.model)

    @agent.tool_plain
    def guess(n: int) -> str:
        if n < 2:
            raise ModelRetry("higher")
        return "yes"

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Guess")

    wrong, right, answer = parts_of(result.state)
    assert (wrong["isError"], right["isError"], right["result"], answer["text"]) == (True, False, "yes", "Right.")


async def test_the_arguments_of_an_output_tool_are_the_output_and_no_call() -> None:
    class City(BaseModel):
        name: str

    script = Script(["Here it is: ", call("final_result", '{"name":', "a"), call("", '"Bonn"}')], ["ok"])
    agent = PydanticAIAgent(script.model, output_type=[str, City])

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Which city?")

    assert parts_of(result.state) == [
        {"type": "text", "text": "Here it is: "},
        {"type": "data", "name": "final_result", "data": {"name": "Bonn"}},
    ]


async def test_the_tokens_and_the_model_are_in_the_messages_metadata() -> None:
    script = Script(["Look. ", call("look", "{}", "a")], ["Done."])
    agent = PydanticAIAgent(script.model)

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Hi")

    metadata = result.state["messages"][-1]["metadata"]
    assert [step["usage"]["inputTokens"] > 0 for step in metadata["steps"]] == [True, True]
    assert metadata["custom"]["modelId"] == script.model.model_name


async def test_tools_change_the_state_that_their_dependencies_hold() -> None:
    script = Script([call("plan", '{"step": "buy"}', "a")], ["Done."])
    agent = PydanticAIAgent(script.model, deps_type=Deps)

    @agent.tool
    def plan(ctx: RunContext[Deps], step: str) -> str:  # in a worker thread
        ctx.deps.state.setdefault("plan", []).append(step)
        return "ok"

    async with TestClient(PydanticAgent(agent, deps=lambda run: Deps(run.state))) as client:
        result = await client.run("Plan")

    assert result.state["plan"] == ["buy"]


async def test_a_tool_may_wait_for_the_user_while_another_works() -> None:
    script = Script([call("order", "{}", "a", index=1), call("cook", "{}", "b", index=2)], ["Served."])
    agent = PydanticAIAgent(script.model)
    asked, cooked = asyncio.Event(), asyncio.Event()

    @agent.tool_plain
    async def order() -> str:
        asked.set()
        return str(await current_run().call_tool("ask_user", {"question": "Salt?"}))

    @agent.tool_plain
    async def cook() -> str:
        await cooked.wait()
        return "risotto"

    async with TestClient(PydanticAgent(agent)) as client:
        running = asyncio.create_task(client.run("Risotto, please", thread_id="t"))
        await asyncio.wait_for(asked.wait(), 10)
        cooking = (await client.get("/status/t")).json()["status"]
        cooked.set()
        waiting = await running
        (question,) = [part for part in parts_of(waiting.state) if part["toolName"] == "ask_user"]
        salted = {"type": "add-tool-result", "toolCallId": question["toolCallId"], "result": "yes"}
        done = await client.run(salted, thread_id="t", state=waiting.state)

    assert cooking == "running"
    results = {part["toolName"]: part.get("result") for part in parts_of(waiting.state)}
    assert results == {"order": None, "cook": "risotto", "ask_user": None}
    assert parts_of(done.state)[-1]["text"] == "Served."


async def test_a_sub_agent_speaks_under_the_call_that_runs_it() -> None:
    inner = Script([think("Hm."), call("look", '{"where": "attic"}', "x")], ["It is in the attic."])
    helper = PydanticAIAgent(inner.model)

    @helper.tool_plain
    def look(where: str) -> str:
        return "found"

    outer = Script([call("research", '{"question": "Where?"}', "a")], ["Found."])
    agent = PydanticAIAgent(outer.model)

    @agent.tool
    async def research(ctx: RunContext[object], question: str) -> str:
        found = await helper.run(question, event_stream_handler=sub_agent_events(ctx))
        return found.output

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Find it")

    assert [message["role"] for message in result.state["messages"]] == ["user", "assistant"]
    research_call, answer = parts_of(result.state)
    assert (research_call["result"], answer["text"]) == ("It is in the attic.", "Found.")
    asked, spoken = research_call["messages"]
    assert asked["content"] == [{"type": "text", "text": "Where?"}]
    assert spoken["status"]["type"] == "complete"
    thought, looked, said = spoken["content"]
    assert (thought["text"], looked["result"], said["text"]) == ("Hm.", "found", "It is in the attic.")


async def test_events_of_a_tool_are_data_parts_unless_they_are_not_for_pages() -> None:
    @dataclass(kw_only=True)
    class StatecastProgressEvent(CustomEvent):
        done: int

    @dataclass(kw_only=True)
    class StatecastAuditEvent(CustomEvent, ui=False):
        who: str

    script = Script([call("work", "{}", "a")], ["Done."])
    agent = PydanticAIAgent(script.model)

    @agent.tool
    async def work(ctx: RunContext[object]) -> str:
        await ctx.emit(StatecastProgressEvent(done=3))
        await ctx.emit(StatecastAuditEvent(who="me"))
        return "ok"

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Work")

    data = [part for part in parts_of(result.state) if part["type"] == "data"]
    assert data == [{"type": "data", "name": "statecast_progress", "data": {"done": 3}}]


async def test_metadata_of_a_result_is_the_calls_artifact_and_an_mcp_app_is_on_the_call() -> None:
    app = {"resource_uri": "ui://menu/app.html", "tool_input": {}, "result": {"content": []}, "toolset_id": "food"}
    script = Script([call("menu", "{}", "a", index=1), call("chart", "{}", "b", index=2)], ["Done."])
    agent = PydanticAIAgent(script.model)

    @agent.tool_plain
    def menu() -> ToolReturn:  # as Pydantic AI's own MCP client returns it
        return ToolReturn("soup", metadata={"mcp_app": app})

    @agent.tool_plain
    def chart() -> ToolReturn:
        return ToolReturn("drawn", metadata={"points": {1}})

    async with TestClient(PydanticAgent(agent)) as client:
        result = await client.run("Menu")

    shown, drawn, _ = parts_of(result.state)
    assert shown["mcp"] == {"app": {"resourceUri": "ui://menu/app.html", "serverId": "food"}}
    assert shown["result"] == {"content": []}
    assert (drawn["result"], drawn["artifact"]) == ("drawn", {"points": [1]})
    assert "points" not in str(script.texts())


@pytest.mark.parametrize("before", [[], ["Well, "]], ids=["before the first token", "after it"])
async def test_an_error_of_the_provider_has_a_text_of_ours(before: list[str]) -> None:
    error = ModelHTTPError(429, "model", body={"message": "key sk-secret is over quota"})
    script = Script([*before, error], ["Now it works."])

    async with TestClient(PydanticAgent(PydanticAIAgent(script.model))) as client:
        failed = await client.run("Hi", thread_id="t")
        fine = await client.run("Again", thread_id="t", state=failed.state)

    assert failed.code == "rate_limited"
    assert "secret" not in str(failed)
    assert parts_of(fine.state)[0]["text"] == "Now it works."
    assert script.texts() == ["user-prompt: Hi", *(f"text: {text}" for text in before), "user-prompt: Again"]


async def test_a_run_that_a_crash_cut_off_goes_on_after_the_last_whole_answer(tmp_path: Path) -> None:
    def look(where: str) -> str:
        return f"nothing in the {where}"

    first = Script(["One. ", call("look", '{"where": "attic"}', "a")], ["Tw", HANG])
    second = Script(["Two."])
    ours = [PydanticAIAgent(script.model, tools=[look]) for script in (first, second)]
    store, copy = tmp_path / "threads.db", tmp_path / "copy"

    async with TestClient(create_app(PydanticAgent(ours[0], restartable=True), store=f"sqlite:///{store}")) as client:
        running = asyncio.create_task(client.run("Go", thread_id="t"))
        await asyncio.wait_for(first.hung.wait(), 10)
        async with asyncio.timeout(10):
            while len(parts_of((await client.get("/threads/t/state")).json()["state"])) < 3:  # noqa: ASYNC110  # the server's
                await asyncio.sleep(0)
        copy.mkdir()
        for file in tmp_path.glob("threads.db*"):  # what a crash would leave
            shutil.copy(file, copy)
        await client.post("/cancel", json={"threadId": "t"})
        await running
    restarted = create_app(PydanticAgent(ours[1], restartable=True), store=f"sqlite:///{copy}/threads.db")
    async with TestClient(restarted) as client:
        async with asyncio.timeout(10):
            while (await client.get("/status/t")).json()["isRunning"]:  # noqa: ASYNC110  # the server's
                await asyncio.sleep(0)
        state = (await client.get("/threads/t/state")).json()["state"]

    assert [part.get("text", part.get("result")) for part in parts_of(state)] == [
        "One. ",
        "nothing in the attic",
        "Two.",
    ]
    assert second.texts() == first.texts()
