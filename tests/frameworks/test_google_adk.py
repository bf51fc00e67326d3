"""What the adapter for Google ADK does beyond the cases that all adapters have in common."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models.llm_response import LlmResponse
from google.adk.sessions import InMemorySessionService
from google.adk.tools._request_input_tool import request_input
from google.adk.tools.function_tool import FunctionTool
from google.adk.tools.tool_context import ToolContext
from google.genai.errors import ClientError
from google.genai.types import FinishReason

from statecast import Agent, Run, create_app
from statecast.frameworks import GoogleADKAgent, explained, run_google_adk
from statecast.testing import TestClient
from tests.frameworks.adk_models import HANG, Script, call, think

pytestmark = pytest.mark.anyio

PAGE_TOOLS: dict[str, Any] = {"pick": {"description": "Pick.", "parameters": {"type": "object", "properties": {}}}}


async def test_the_state_of_the_session_is_shown_as_tools_change_it() -> None:
    def add_stop(city: str, tool_context: ToolContext) -> str:
        tool_context.state["stops"] = [*tool_context.state.get("stops", []), city]
        tool_context.state["user:name"] = "Ann"
        tool_context.state["temp:draft"] = True
        return "added"

    script = Script([call("add_stop", city="Rome")], ["Added."], [call("add_stop", city="Bonn")], ["Added."])
    agent = GoogleADKAgent(LlmAgent(name="travel", model=script, tools=[add_stop]), values="trip")
    async with TestClient(agent) as client:
        first = await client.run("Rome", thread_id="t")
        second = await client.run("Bonn", thread_id="t", state=first.state)

    assert first.state["trip"] == {"stops": ["Rome"]}
    assert second.state["trip"] == {"stops": ["Rome", "Bonn"]}


async def test_the_agent_that_took_over_is_shown_and_answers_the_next_message() -> None:
    hotels = Script(["Rooms?"], ["Booked."])
    host = Script([call("transfer_to_agent", agent_name="hotels")])
    agent = LlmAgent(
        name="host", model=host, sub_agents=[LlmAgent(name="hotels", model=hotels, description="Books hotels.")]
    )
    async with TestClient(GoogleADKAgent(agent)) as client:
        first = await client.run("A room", thread_id="t")
        second = await client.run("One", thread_id="t", state=first.state)

    assert first.state["agent"] == "hotels"
    assert [part["type"] for message in first.state["messages"] for part in message["parts"]] == [
        "text",
        "tool-call",
        "text",
    ]
    assert second.state["messages"][-1]["parts"] == [{"type": "text", "text": "Booked."}]


async def test_thoughts_tokens_and_the_model_are_shown() -> None:
    script = Script([think("Let me "), think("see."), "Hel", "lo"])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script))) as client:
        result = await client.run("Hi")

    message = result.state["messages"][1]
    assert message["parts"] == [{"type": "reasoning", "text": "Let me see."}, {"type": "text", "text": "Hello"}]
    assert message["metadata"]["steps"] == [{"usage": {"inputTokens": 7, "outputTokens": 3}}]
    assert message["metadata"]["custom"]["modelId"] == "script-1"


async def test_a_whole_answer_sends_nothing_that_its_pieces_have_sent() -> None:
    script = Script(["Hel", "lo", HANG, " there"])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script))) as client:
        running = asyncio.create_task(client.run("Hi"))
        await script.hung.wait()
        script.released.set()
        result = await running

    assert result.state["messages"][1]["parts"] == [{"type": "text", "text": "Hello there"}]
    assert str(result.chunks).count("Hel") == 1


async def test_a_question_of_adk_is_answered_with_a_text() -> None:
    script = Script([call("adk_request_input", "q1", message="Which city?")], ["Rome it is."])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script, tools=[request_input]))) as client:
        asked = await client.run("Plan", thread_id="t")
        (question,) = asked.state["pending"]
        answer = {"type": "answer", "answers": {question["id"]: {"text": "Rome"}}}
        done = await client.run(answer, thread_id="t", state=asked.state)

    assert (question["kind"], question["prompt"]) == ("text", "Which city?")
    assert done.state["messages"][-1]["parts"][-1] == {"type": "text", "text": "Rome it is."}
    assert script.texts()[-1] == "result: {'result': 'Rome'}"


async def test_a_confirmation_with_a_payload_gets_the_value_of_the_answer() -> None:
    def refund(amount: int, tool_context: ToolContext) -> str:
        confirmation = tool_context.tool_confirmation
        if confirmation is None:
            tool_context.request_confirmation(hint="How much may I refund?", payload={"amount": amount})
            return "waits"
        assert confirmation.payload is not None
        return f"refunded {confirmation.payload['amount']}"

    script = Script([call("refund", "c1", amount=9)], ["Done."])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script, tools=[refund]))) as client:
        asked = await client.run("Refund", thread_id="t")
        (question,) = asked.state["pending"]
        answer = {"type": "answer", "answers": {question["id"]: {"approved": True, "value": {"amount": 5}}}}
        done = await client.run(answer, thread_id="t", state=asked.state)

    assert (question["callId"], question["prompt"]) == ("c1", "How much may I refund?")
    assert question["details"] == {"amount": 9}
    assert done.state["messages"][1]["parts"][0]["result"] == "refunded 5"


async def test_a_tool_of_the_server_a_confirmation_and_a_tool_of_the_page_mix_in_one_answer() -> None:
    def weather() -> str:
        return "sunny"

    def book() -> str:
        return "booked"

    script = Script([call("weather", "c1"), call("book", "c2"), call("pick", "c3")], ["All done."])
    tools: list[Any] = [weather, FunctionTool(book, require_confirmation=True)]
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script, tools=tools))) as client:
        asked = await client.run("Go", thread_id="t", tools=PAGE_TOOLS)
        (question,) = asked.state["pending"]
        answer = {"type": "answer", "answers": {question["id"]: True}}
        half = await client.run(answer, thread_id="t", state=asked.state)
        settle = {"type": "add-tool-result", "toolCallId": "c3", "result": "blue"}
        done = await client.run(settle, thread_id="t", state=half.state)

    parts = [part for message in done.state["messages"] for part in message["parts"]]
    assert [part.get("result") for part in parts if part["type"] == "tool-call"] == ["sunny", "booked", "blue"]
    assert parts[-1] == {"type": "text", "text": "All done."}
    results = [text for text in script.texts() if text.startswith("result")]
    assert results == ["result: {'result': 'sunny'}", "result: {'result': 'booked'}", "result: {'result': 'blue'}"]


async def test_a_run_that_a_crash_cut_off_begins_anew_and_replaces_what_it_had_shown(tmp_path: Path) -> None:
    def look(where: str) -> str:
        return f"nothing in the {where}"

    scripts = [
        Script(["One. ", call("look", "c1", where="attic")], ["Tw", HANG]),
        Script(["Once more. ", call("look", "c2", where="cellar")], ["Two."]),
    ]
    first, second = (
        GoogleADKAgent(LlmAgent(name="host", model=script, tools=[look]), restartable=True) for script in scripts
    )
    copy = tmp_path / "copy"
    async with TestClient(create_app(first, store=f"sqlite:///{tmp_path}/threads.db")) as client:
        running = asyncio.create_task(client.run("Go", thread_id="t"))
        await scripts[0].hung.wait()
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


async def test_a_confirmed_call_is_not_made_again_after_the_model_has_failed() -> None:
    booked: list[str] = []

    def book(room: str) -> str:
        booked.append(room)
        return f"booked {room}"

    script = Script([call("book", "c1", room="A")], [RuntimeError("sk-secret")], ["It is booked."])
    agent = LlmAgent(name="host", model=script, tools=[FunctionTool(book, require_confirmation=True)])
    async with TestClient(GoogleADKAgent(agent)) as client:
        asked = await client.run("Book", thread_id="t")
        answer = {"type": "answer", "answers": {asked.state["pending"][0]["id"]: True}}
        failed = await client.run(answer, thread_id="t", state=asked.state)
        done = await client.run("And?", thread_id="t")

    assert failed.error is not None
    assert booked == ["A"]
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "It is booked."}]
    assert script.texts() == ["user: Book", "call: book {'room': 'A'}", "result: {'result': 'booked A'}", "user: And?"]


async def test_a_tool_that_failed_leaves_a_call_that_the_next_question_closes() -> None:
    def fails() -> str:
        raise RuntimeError("sk-secret")

    script = Script([call("fails", "c1")], ["Sorry."])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script, tools=[fails]))) as client:
        failed = await client.run("Go", thread_id="t")
        done = await client.run("And?", thread_id="t")

    assert "sk-secret" not in str(failed.chunks) + str(done.chunks)
    assert script.texts() == [
        "user: Go",
        "call: fails {}",
        "result: {'error': 'This call was stopped before it had a result.'}",
        "user: And?",
    ]


async def test_what_a_stopped_answer_had_said_is_part_of_the_next_question() -> None:
    script = Script(["Hel", "lo", HANG], ["Bye"])
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script))) as client:
        running = asyncio.create_task(client.run("Hi", thread_id="t"))
        await script.hung.wait()
        await client.post("/cancel", json={"threadId": "t"})
        await running
        await client.run("Again", thread_id="t")

    assert script.texts() == ["user: Hi", "model: Hello", "user: Again"]


async def test_the_messages_of_a_thread_that_is_new_to_adk_are_part_of_the_question() -> None:
    script = Script(["Sure."])
    messages = [
        {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]},
        {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "Hello"}]},
    ]
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=script))) as client:
        await client.run("Bye", state={"messages": messages})

    assert script.texts() == ["user: Hi", "model: Hello", "user: Bye"]


async def test_an_error_that_a_model_reports_as_its_answer_fails_the_run() -> None:
    refused = LlmResponse(error_code="SAFETY", error_message="sk-secret", finish_reason=FinishReason.SAFETY)
    async with TestClient(GoogleADKAgent(LlmAgent(name="host", model=Script([refused])))) as client:
        result = await client.run("Hi")

    assert result.error is not None
    assert result.error["code"] == "content_filtered"
    assert "sk-secret" not in str(result.chunks)


async def test_an_app_keeps_its_plugins_and_a_session_service_its_sessions() -> None:
    service = InMemorySessionService()
    app = App(name="travel", root_agent=LlmAgent(name="host", model=Script(["Hello"])))
    agent = GoogleADKAgent(app, session_service=service, user_id=lambda run: "ann")
    async with TestClient(agent) as client:
        await client.run("Hi", thread_id="t")

    session = await service.get_session(app_name="travel", user_id="ann", session_id="t")
    assert session is not None
    assert [event.author for event in session.events] == ["user", "host"]


async def test_a_session_of_another_service_is_rewound_by_edits() -> None:
    script = Script(["One"], ["Two"], ["Three"], ["Four"], ["Five"])
    agent = GoogleADKAgent(LlmAgent(name="host", model=script), session_service=InMemorySessionService())

    def edit(id: str, parent: str | None, text: str) -> Any:
        message = {"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}
        return {"type": "add-message", "message": message, "parentId": parent, "sourceId": id}

    async with TestClient(agent) as client:
        first = await client.run(edit("u1", None, "First"), thread_id="t")
        parent = first.state["messages"][1]["id"]
        second = await client.run(edit("u2", parent, "Second"), thread_id="t", state=first.state)
        third = await client.run(edit("u2", parent, "Other"), thread_id="t", state=second.state)
        fourth = await client.run(edit("u1", None, "Anew"), thread_id="t", state=third.state)
        await client.run("More", thread_id="t", state=fourth.state)

    assert script.texts(2) == ["user: First", "model: One", "user: Other"]
    assert script.texts(3) == ["user: Anew"]
    assert script.texts(4) == ["user: Anew", "model: Four", "user: More"]


async def test_a_handler_of_ones_own_runs_an_agent() -> None:
    agent = Agent("mine")
    host = LlmAgent(name="host", model=Script(["Hello"]))

    @agent.batch
    async def answer(run: Run) -> None:
        run.state["before"] = True
        await run_google_adk(run, host, shown=None)

    async with TestClient(create_app(agent)) as client:
        result = await client.run("Hi")

    assert result.state["messages"][1]["parts"] == [{"type": "text", "text": "Hello"}]
    assert (result.state["before"], "agent" in result.state) == (True, False)


def test_errors_of_googles_client_have_codes() -> None:
    codes = {status: explained(ClientError(status, {"error": {"message": "sk"}})) for status in (400, 401, 429)}

    assert {status: error and error.code for status, error in codes.items()} == {
        400: "model_request_rejected",
        401: "model_authentication_failed",
        429: "rate_limited",
    }


def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(TypeError, match="expected an agent or an App of Google ADK"):
        GoogleADKAgent("host")  # type: ignore[arg-type]  # what a user may get wrong


def test_settings_that_make_no_sense_are_refused() -> None:
    host = LlmAgent(name="host", model=Script([]))
    with pytest.raises(TypeError, match="expected a function as user_id"):
        GoogleADKAgent(host, user_id="ann")  # type: ignore[arg-type]  # what a user may get wrong
    with pytest.raises(ValueError, match="apart from the messages as values"):
        GoogleADKAgent(host, values="messages")
