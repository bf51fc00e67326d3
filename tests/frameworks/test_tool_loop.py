"""`run_tools`, beyond what the conformance tests drive through each provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anthropic
import openai
import pytest

from statecast import Agent, AgentError, Run
from statecast.frameworks import Tool, run_tools, to_anthropic, to_openai, to_responses, tool
from statecast.testing import Result, TestClient

from .model_server import Delta, Provider, provider
from .runs import run_on, said
from .tools import PAGE_TOOLS
from .wires import SECRET

pytestmark = pytest.mark.anyio


def chat_loop(url: str, *tools: Tool | Callable[..., Any], **settings: Any) -> Agent:
    agent = Agent()
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=SECRET, max_retries=0)

    @agent.batch
    async def answer(run: Run) -> None:
        def ask(offered: Sequence[Tool]) -> Any:
            return client.chat.completions.create(model="fake", **to_openai(run, offered))

        await run_tools(run, ask, tools, **settings)

    return agent


def calling(id: str, name: str, args: str = "{}") -> list[Delta]:
    return [("call", id, name), ("args", id, args)]


def results(model: Provider) -> list[str]:
    """Return what the model read last as the results of its calls."""
    return [message["content"] for message in model.requests[-1]["messages"] if message["role"] == "tool"]


def call_of(result: Result, id: str) -> Any:
    parts = [part for message in result.state["messages"] for part in message["parts"]]
    return next(part for part in parts if part.get("toolCallId") == id)


async def test_tools_of_one_answer_work_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> str:
        await both.wait()
        return "met"

    async with provider([*calling("a", "meet"), *calling("b", "meet")], [("text", "Done.")]) as model:
        async with TestClient(chat_loop(model.url, meet)) as client:
            result = await client.run("Meet")

    assert result.error is None
    assert results(model) == ["met", "met"]


async def test_the_model_reads_what_was_wrong_with_its_call() -> None:
    def half(n: int) -> float:
        return n / 2

    def refuse() -> None:
        raise AgentError("Not on Sundays.")

    calls = [*calling("a", "half", '{"n": "x"}'), *calling("b", "halve"), *calling("c", "refuse")]
    async with provider(calls, [("text", "Sorry.")]) as model:
        async with TestClient(chat_loop(model.url, half, refuse)) as client:
            await client.run("Halve")

    wrong, unknown, refused = results(model)
    assert wrong.startswith("The arguments do not fit: Expected `int`, got `str`")
    assert unknown == "There is no tool halve."
    assert refused == "Not on Sundays."


async def test_the_text_of_an_exception_goes_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError(SECRET)

    async with provider(calling("a", "fail"), [("text", "Sorry.")]) as model:
        async with TestClient(chat_loop(model.url, fail)) as client:
            result = await client.run("Fail")

    assert call_of(result, "a")["result"] == "The tool failed."
    assert SECRET not in str(result.chunks)
    assert SECRET in caplog.text


async def test_a_model_that_never_stops_calling_is_stopped() -> None:
    def again() -> None: ...

    async with provider(*[calling(f"c{n}", "again") for n in range(3)]) as model:
        async with TestClient(chat_loop(model.url, again, max_steps=3)) as client:
            result = await client.run("Go")

    assert result.code == "step_limit_reached"
    assert len(model.requests) == 3


async def test_calls_of_the_server_and_of_the_page_mix_in_one_answer() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    mixed = [*calling("a", "add", '{"a": 1, "b": 2}'), *calling("b", "pick_color", '{"of": "sky"}')]
    async with provider(mixed, [("text", "Blue.")]) as model:
        async with TestClient(chat_loop(model.url, add)) as client:
            asked = await client.run("Hi", thread_id="t", tools=PAGE_TOOLS)
            answer = {"type": "add-tool-result", "toolCallId": "b", "toolName": "pick_color", "result": "blue"}
            result = await client.run(answer, thread_id="t", state=asked.state, tools=PAGE_TOOLS)

    assert call_of(asked, "a")["result"] == 3
    assert "result" not in call_of(asked, "b")
    assert len(model.requests) == 2
    assert results(model) == ["3", "blue"]
    assert result.state["messages"][-1]["parts"] == [{"type": "text", "text": "Blue."}]


async def test_a_tool_of_the_server_hides_one_of_the_page_with_its_name() -> None:
    async def pick_color(of: str) -> str:
        return f"grey {of}"

    async with provider(calling("a", "pick_color", '{"of": "sky"}'), [("text", "Grey.")]) as model:
        async with TestClient(chat_loop(model.url, pick_color)) as client:
            await client.run("Hi", tools=PAGE_TOOLS)

    assert [one["function"]["name"] for one in model.requests[0]["tools"]] == ["pick_color"]
    assert results(model) == ["grey sky"]


async def test_the_model_reads_why_the_user_denied_a_call() -> None:
    spent: list[int] = []

    @tool(needs_approval=lambda args: args["n"] > 3)
    def spend(n: int) -> str:
        spent.append(n)
        return "spent"

    calls = [*calling("a", "spend", '{"n": 2}'), *calling("b", "spend", '{"n": 5}')]
    async with provider(calls, [("text", "Fine.")]) as model:
        async with TestClient(chat_loop(model.url, spend)) as client:
            asked = await client.run("Spend", thread_id="t")
            (question,) = asked.state["pending"]
            answer = {"type": "answer", "answers": {question["id"]: {"approved": False, "reason": "Too much."}}}
            result = await client.run(answer, thread_id="t", state=asked.state)

    assert spent == [2]
    assert question["callId"] == "b"
    assert results(model) == ["spent", "The user denied this call: Too much."]
    assert call_of(result, "b")["approval"]["approved"] is False


async def test_what_does_not_fit_is_not_asked_about() -> None:
    @tool(needs_approval=lambda args: args["n"] > 3)
    def spend(n: int = 5) -> str:
        return "spent"

    calls = [*calling("a", "spend", '{"n": "all"}'), *calling("b", "spend")]
    async with provider(calls) as model:
        async with TestClient(chat_loop(model.url, spend)) as client:
            asked = await client.run("Spend")

    assert call_of(asked, "a")["result"].startswith("The arguments do not fit")
    assert [question["callId"] for question in asked.state["pending"]] == ["b"], "the default counts"


async def test_an_approved_call_that_a_crash_cut_off_is_not_called_again() -> None:
    @tool(needs_approval=True)
    def spend() -> None:
        raise AssertionError("expected no call")

    part = {"type": "tool-call", "toolCallId": "a", "toolName": "spend", "args": {}, "argsText": "{}"}
    part["approval"] = {"id": "q", "approved": True}
    run = run_on(said("u", "Spend"), {"id": "m", "role": "assistant", "parts": [part]})
    async with provider([("text", "It may have been spent.")]) as model:
        client = openai.AsyncOpenAI(base_url=f"{model.url}/v1", api_key=SECRET)

        def ask(offered: Sequence[Tool]) -> Any:
            return client.chat.completions.create(model="fake", **to_openai(run, offered))

        await run_tools(run, ask, [spend])

    assert results(model) == ["This call was stopped before it had a result."]


async def test_a_turn_that_anthropic_pauses_is_continued() -> None:
    run = run_on(said("u", "Search"))
    use = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    async with provider([("block", use), ("reason", "pause_turn")], [("text", "Found.")]) as model:
        client = anthropic.AsyncAnthropic(base_url=model.url, api_key=SECRET)

        def ask(offered: Sequence[Tool]) -> Any:
            return client.messages.create(model="fake", max_tokens=9, **to_anthropic(run, offered))

        await run_tools(run, ask)

    assert model.requests[1]["messages"][-1] == {"role": "assistant", "content": [use]}
    assert run.messages[-1].text == "Found."


async def test_thinking_goes_back_to_anthropic_with_its_signature() -> None:
    def look() -> str:
        return "seen"

    run = run_on(said("u", "Look"))
    thought = [("reasoning", "I should "), ("reasoning", "look."), ("signature", "sealed")]
    async with provider([*thought, ("text", "Well."), *calling("a", "look")], [("text", "Seen.")]) as model:
        client = anthropic.AsyncAnthropic(base_url=model.url, api_key=SECRET)

        def ask(offered: Sequence[Tool]) -> Any:
            return client.messages.create(model="fake", max_tokens=9, **to_anthropic(run, offered))

        await run_tools(run, ask, [look])

    assert model.requests[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should look.", "signature": "sealed"},
                {"type": "text", "text": "Well."},
                {"type": "tool_use", "id": "a", "name": "look", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "seen"}]},
    ]
    assert "sealed" not in str(run.state)


async def test_reasoning_goes_back_to_the_responses_api_before_the_call_that_followed_it() -> None:
    def look() -> str:
        return "seen"

    run = run_on(said("u", "Look"))
    async with provider([("reasoning", "I look."), *calling("a", "look")], [("text", "Seen.")]) as model:
        client = openai.AsyncOpenAI(base_url=f"{model.url}/v1", api_key=SECRET)

        def ask(offered: Sequence[Tool]) -> Any:
            return client.responses.create(model="fake", **to_responses(run, offered))

        await run_tools(run, ask, [look])

    reasoning, call, output = model.requests[1]["input"][1:]
    assert (reasoning["type"], reasoning["encrypted_content"]) == ("reasoning", "sealed")
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "a", "{}")
    assert output == {"type": "function_call_output", "call_id": "a", "output": "seen"}


async def test_what_compatible_servers_want_back_is_sent_back() -> None:
    def look() -> str:
        return "seen"

    run = run_on(said("u", "Look"))
    thinking = [
        ("extra", {"thinking_blocks": [{"type": "thinking", "thinking": piece, **signature}]})
        for piece, signature in (("I ", {}), ("look.", {}), ("", {"signature": "sealed"}))
    ]
    signed = ("call", "a", "look", ("extra_content", {"google": {"thought_signature": "signed"}}))
    async with provider([*thinking, signed], [("text", "Seen.")]) as model:
        client = openai.AsyncOpenAI(base_url=f"{model.url}/v1", api_key=SECRET)

        def ask(offered: Sequence[Tool]) -> Any:
            return client.chat.completions.create(model="fake", **to_openai(run, offered))

        await run_tools(run, ask, [look])

    answer = model.requests[1]["messages"][1]
    assert answer["thinking_blocks"] == [{"type": "thinking", "thinking": "I look.", "signature": "sealed"}]
    assert answer["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "signed"}}
