"""`copy_stream`, with the real clients of OpenAI, Anthropic and LiteLLM."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from statecast import AddMessage, Agent, AgentError, Run
from statecast.testing import TestClient
from statecast_agents.frameworks.model_clients.streams import copy_stream

from .model_clients import ASKS, Ask, ask_anthropic, ask_chat, ask_responses
from .model_server import provider
from .runs import run_on, said
from .wires import SECRET

pytestmark = pytest.mark.anyio

#: The import of litellm takes seconds, and it uses what pydantic has deprecated.
LITELLM = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning")]
CLIENTS = [pytest.param(ask, id=name, marks=LITELLM if name == "litellm" else []) for name, ask in ASKS.items()]


def parts(run: Run) -> list[Any]:
    (message,) = run.messages[1:]
    return list(message.parts)


@pytest.mark.parametrize("ask", CLIENTS)
async def test_reasoning_and_text_become_parts(ask: Ask) -> None:
    run = run_on(said("u", "Hi"))
    async with provider(
        [("reasoning", "Let me "), ("reasoning", "think."), ("text", "Grüße"), ("text", " 😀")]
    ) as model:
        assert await copy_stream(run, ask(model.url, run, [])) == []

    assert parts(run) == [{"type": "reasoning", "text": "Let me think."}, {"type": "text", "text": "Grüße 😀"}]


@pytest.mark.parametrize("ask", CLIENTS)
async def test_interleaved_calls_are_returned_with_their_arguments(ask: Ask) -> None:
    calls = [("call", "c1", "look"), ("call", "c2", "find"), ("args", "c1", '{"a":'), ("args", "c2", '{"b":2}')]
    run = run_on(said("u", "Hi"))
    async with provider([("text", "So."), *calls, ("args", "c1", "1}")]) as model:
        found = await copy_stream(run, ask(model.url, run, []))

    assert [(call.id, call.name, call.args) for call in found] == [("c1", "look", {"a": 1}), ("c2", "find", {"b": 2})]
    assert [part["type"] for part in parts(run)] == ["text", "tool-call", "tool-call"]


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_call_with_unreadable_arguments_is_an_error_that_the_model_can_read(ask: Ask) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("call", "c1", "look"), ("args", "c1", '{"a":'), ("length",)]) as model:
        assert await copy_stream(run, ask(model.url, run, [])) == []

    (call,) = run.messages[-1].tool_calls
    assert (call.args, call.args_text, call.part["isError"]) == ({}, '{"a":', True)
    assert "not complete JSON" in call.result


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize(
    ("status", "code"), [(401, "model_authentication_failed"), (429, "rate_limited"), (500, "model_unavailable")]
)
async def test_a_request_that_is_refused_is_explained_without_its_text(ask: Ask, status: int, code: str) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("refuse", status)]) as model:
        with pytest.raises(AgentError) as failed:
            await copy_stream(run, ask(model.url, run, []))

    assert failed.value.code == code
    assert SECRET not in str(failed.value)
    assert len(run.messages) == 1


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize("trouble", ["error", "cut", "end"])
async def test_a_stream_that_breaks_fails_the_run_and_what_came_is_marked_incomplete(ask: Ask, trouble: str) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("text", "Half an "), (trouble,)]) as model:
        with pytest.raises(AgentError) as failed:
            await copy_stream(run, ask(model.url, run, []))

    assert failed.value.code in ("model_unavailable", "connection_failed", "model_cut_off")
    assert SECRET not in str(failed.value)
    assert parts(run) == [{"type": "text", "text": "Half an "}]
    assert run.messages[-1].message["status"] == {"type": "incomplete", "reason": "error"}


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_stream_that_ends_without_a_reason_is_cut_off(ask: Ask) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("end",)]) as model:
        with pytest.raises(AgentError):
            await copy_stream(run, ask(model.url, run, []))

    assert len(run.messages) == 1


@pytest.mark.parametrize("ask", CLIENTS)
async def test_stopping_the_run_closes_the_connection_to_the_provider(ask: Ask) -> None:
    agent = Agent()
    async with provider([("text", "Once upon "), ("hang",)]) as model:

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            await copy_stream(run, ask(model.url, run, []))

        async with TestClient(agent) as client:
            going = asyncio.create_task(client.run("Tell me", thread_id="t"))
            await model.hanging.wait()
            await client.post("/cancel", json={"threadId": "t"})
            result = await going
            await asyncio.wait_for(model.left.wait(), 10)

    assert result.error is None
    assert result.state["messages"][1]["parts"] == [{"type": "text", "text": "Once upon "}]
    assert result.state["messages"][1]["status"] == {"type": "incomplete", "reason": "cancelled"}


@pytest.mark.parametrize("ask", CLIENTS)
async def test_the_message_has_the_tokens_the_model_and_the_finish_reason(ask: Ask) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("text", "Hello"), ("usage", 70, 30), ("length",)]) as model:
        await copy_stream(run, ask(model.url, run, []))

    metadata = run.messages[-1].message["metadata"]
    (step,) = metadata["steps"]
    assert (step["usage"]["inputTokens"], step["usage"]["outputTokens"]) == (70, 30)
    assert metadata["custom"] == {"modelId": "fake", "finishReason": "length"}


async def test_the_streams_with_derived_events_are_read_alike() -> None:
    deltas = [("text", "So. "), ("text", "Look."), ("call", "c1", "look"), ("args", "c1", "{}")]
    run = run_on(said("u", "Hi"))
    async with provider(deltas, deltas) as model:
        claude = anthropic.AsyncAnthropic(base_url=model.url, api_key=SECRET)
        asked: Any = [{"role": "user", "content": "Hi"}]
        async with claude.messages.stream(model="fake", max_tokens=9, messages=asked) as stream:
            await copy_stream(run, stream)
        gpt = openai.AsyncOpenAI(base_url=f"{model.url}/v1", api_key=SECRET)
        async with gpt.responses.stream(model="fake", input="Hi") as events:
            await copy_stream(run, events)

    for message in run.messages[1:]:
        text, call = message.parts
        assert (text["text"], call["toolName"], call["argsText"]) == ("So. Look.", "look", "{}")


async def test_what_is_no_stream_is_refused_with_what_to_do() -> None:
    run = run_on(said("u", "Hi"))
    with pytest.raises(TypeError, match="stream=True"):
        await copy_stream(run, {"choices": []})  # type: ignore[arg-type]  # the mistake

    async def numbers() -> Any:
        yield 1

    with pytest.raises(TypeError, match="expected a chunk of chat completions"):
        await copy_stream(run, numbers())


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}},
                {"index": 0, "id": "b", "function": {"name": "find", "arguments": "{}"}},
            ],
            id="every call has the index 0",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}},
                {"index": 0, "id": "a", "function": {"name": None, "arguments": "{}"}},
                {"index": 1, "id": "b", "function": {"name": "find", "arguments": "{"}},
                {"index": 1, "id": "", "function": {"arguments": "}"}},
            ],
            id="the id is repeated, or empty",
        ),
    ],
)
async def test_the_calls_of_peculiar_servers_are_told_apart(pieces: list[Any]) -> None:
    run = run_on(said("u", "Hi"))
    async with provider([("extra", {"tool_calls": [piece]}) for piece in pieces]) as model:
        calls = await copy_stream(run, ask_chat(model.url, run, []))

    assert [(call.id, call.name, call.args) for call in calls] == [("a", "look", {}), ("b", "find", {})]


async def test_a_refusal_is_text_and_citations_are_sources() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://bees.example", "title": "Bees"}}
    run = run_on(said("u", "Hi"))
    async with provider([("refusal", "I cannot."), ("extra", {"annotations": [cited, cited]})]) as model:
        await copy_stream(run, ask_chat(model.url, run, []))

    text, source = parts(run)
    assert text == {"type": "text", "text": "I cannot."}
    assert (source["type"], source["url"], source["title"]) == ("source", "https://bees.example", "Bees")


async def test_what_a_failed_response_says_goes_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent()
    async with provider([("error",)]) as model:

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            await copy_stream(run, ask_responses(model.url, run, []))

        async with TestClient(agent) as client:
            result = await client.run("Hi")

    assert result.code == "model_unavailable"
    assert SECRET not in str(result.error)
    assert SECRET in caplog.text


async def test_tools_that_openai_runs_itself_have_their_result() -> None:
    search = {"action": {"type": "search", "query": "bees"}, "status": "completed"}
    drawing = {"result": "AAAA", "status": "completed"}
    run = run_on(said("u", "Hi"))
    async with provider([("item", "web_search_call", search), ("item", "image_generation_call", drawing)]) as model:
        assert await copy_stream(run, ask_responses(model.url, run, [])) == []

    call, image = parts(run)
    assert (call["toolName"], call["args"]["action"]["query"], call["isError"]) == ("web_search", "bees", False)
    assert image == {"type": "image", "image": "data:image/png;base64,AAAA"}


async def test_tools_that_anthropic_runs_itself_have_their_result_without_what_only_it_can_read() -> None:
    use = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    page = {
        "type": "web_search_result",
        "url": "https://bees.example",
        "title": "Bees",
        "encrypted_content": "sealed",
        "page_age": None,
    }
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [page]}
    query = {"type": "input_json_delta", "partial_json": '{"query": "bees"}'}
    run = run_on(said("u", "Hi"))
    async with provider([("block", use, query), ("block", result), ("text", "Bees.")]) as model:
        assert await copy_stream(run, ask_anthropic(model.url, run, [])) == []

    call, text = parts(run)
    assert (call["toolName"], call["args"]) == ("web_search", {"query": "bees"})
    assert call["result"] == [{"type": "web_search_result", "url": "https://bees.example", "title": "Bees"}]
    assert text["text"] == "Bees."
