"""Tools of MCP servers in the tool loop: what the model reads, also after the server's questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai
import pytest

from statecast import Agent, Run
from statecast.frameworks import Tool, open_mcp, run_tools, to_openai
from statecast.testing import TestClient
from tests.frameworks.mcp_server import Restaurants
from tests.frameworks.model_server import Delta, provider

pytestmark = pytest.mark.anyio

Json = Any


def concierge(url: str, server: Any, **options: Any) -> Agent:
    """Return an agent that offers a server's tools to a model."""
    agent = Agent()
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    @agent.batch
    async def answer(run: Run) -> None:
        def ask(offered: Sequence[Tool]) -> Any:
            return client.chat.completions.create(model="fake", **to_openai(run, offered))

        async with open_mcp(server, **options) as tools:
            await run_tools(run, ask, tools)

    return agent


def calling(id: str, name: str, args: str = "{}") -> list[Delta]:
    return [("call", id, name), ("args", id, args)]


def results(model: Any) -> list[str]:
    """Return what the model read last as the results of its calls."""
    return [message["content"] for message in model.requests[-1]["messages"] if message["role"] == "tool"]


async def test_the_model_reads_what_the_tool_returns_once_the_servers_questions_are_answered() -> None:
    calls = [*calling("a", "book", '{"place": "Noma"}'), *calling("b", "count", '{"dishes": ["x"]}')]

    async with provider(calls, [("text", "Booked.")]) as model:
        async with TestClient(concierge(model.url, Restaurants().server)) as client:
            asked = await client.run("Book", thread_id="t")
            guest, table = asked.state["pending"]
            one = {"type": "answer", "answers": {guest["id"]: {"name": "Ann"}}}
            between = await client.run(one, thread_id="t", state=asked.state)
            assert len(model.requests) == 1, "one question is still open"
            other = {"type": "answer", "answers": {table["id"]: {"size": 2}}}
            done = await client.run(other, thread_id="t", state=between.state)

    assert "book" in str(model.requests[0]["tools"])
    assert results(model) == ["Noma: Ann, 2", "1"]
    assert done.state["messages"][-1]["parts"] == [{"type": "text", "text": "Booked."}]


async def test_a_message_instead_of_an_answer_cancels_the_servers_question() -> None:
    async with provider(calling("a", "book", '{"place": "Noma"}'), [("text", "As you like.")]) as model:
        async with TestClient(concierge(model.url, Restaurants().server)) as client:
            asked = await client.run("Book", thread_id="t")
            done = await client.run("Never mind", thread_id="t", state=asked.state)

    assert done.state["pending"] == []
    assert done.state["messages"][-1]["parts"][0]["text"] == "As you like."
    assert "Ann" not in str(results(model))


async def test_a_call_that_needs_approval_reaches_the_server_only_then() -> None:
    async with provider(calling("a", "food_count", '{"dishes": ["x", "y"]}'), [("text", "Two.")]) as model:
        agent = concierge(model.url, Restaurants().server, prefix="food_", needs_approval=True)
        async with TestClient(agent) as client:
            asked = await client.run("Count", thread_id="t")
            (question,) = asked.state["pending"]
            yes = {"type": "answer", "answers": {question["id"]: True}}
            await client.run(yes, thread_id="t", state=asked.state)

    assert "result" not in asked.state["messages"][-1]["parts"][0]
    assert results(model) == ["2"]


async def test_the_model_reads_the_text_of_a_tool_with_an_app() -> None:
    async with provider(calling("a", "menu"), [("text", "Soup.")]) as model:
        async with TestClient(concierge(model.url, Restaurants().server)) as client:
            await client.run("Menu")

    (read,) = results(model)
    assert "soup" in read
    assert "<b>" not in read


@pytest.mark.parametrize(
    ("value", "read"), [({"name": "Ann"}, "Noma: Ann"), (False, "decline")], ids=["accepted", "declined"]
)
async def test_a_server_of_an_older_protocol_asks_within_its_call(value: Json, read: str) -> None:
    calls = [*calling("a", "reserve", '{"place": "Noma"}'), *calling("b", "count", '{"dishes": ["x"]}')]

    async with provider(calls, [("text", "Done.")]) as model:
        async with TestClient(concierge(model.url, Restaurants().server, mode="legacy")) as client:
            asked = await client.run("Reserve", thread_id="t")
            (question,) = asked.state["pending"]
            status = (await client.get("/status/t")).json()["status"]
            answer = {"type": "answer", "answers": {question["id"]: value}}
            done = await client.run(answer, thread_id="t", state=asked.state)

    assert (status, question["prompt"]) == ("waiting", "Who goes to Noma?")
    assert results(model) == [read, "1"]
    assert done.state["messages"][-1]["parts"][0]["text"] == "Done."


async def test_calls_of_one_answer_ask_at_the_same_time() -> None:
    calls = [*calling("a", "reserve", '{"place": "Noma"}'), *calling("b", "reserve", '{"place": "Kadeau"}')]

    async with provider(calls, [("text", "Done.")]) as model:
        async with TestClient(concierge(model.url, Restaurants().server, mode="legacy")) as client:
            state = (await client.run("Reserve", thread_id="t")).state
            prompts = set()
            while state["pending"]:
                assert (await client.get("/status/t")).json()["status"] == "waiting"
                (first, *_) = state["pending"]
                prompts.add(first["prompt"])
                answer = {"type": "answer", "answers": {first["id"]: {"name": first["prompt"][12:-1]}}}
                state = (await client.run(answer, thread_id="t", state=state)).state

    assert prompts == {"Who goes to Kadeau?", "Who goes to Noma?"}
    assert results(model) == ["Noma: Noma", "Kadeau: Kadeau"]
    assert state["messages"][-1]["parts"][0]["text"] == "Done."
