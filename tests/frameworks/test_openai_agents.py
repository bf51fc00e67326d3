"""The adapter for the OpenAI Agents SDK, beyond what the conformance tests drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import agents
import pytest
from openai import AsyncOpenAI

from statecast import Agent, Run
from statecast.frameworks import OpenAIAgentsAgent, run_openai_agents, show_sub_agent
from statecast.testing import TestClient

from .model_transport import http_client
from .provider import SECRET, Provider, Step, Text, call
from .tools import PAGE_TOOLS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tracing")]


@pytest.fixture
def no_tracing() -> None:
    agents.set_tracing_disabled(True)


def openai_client(provider: Provider) -> AsyncOpenAI:
    http = http_client(provider)
    return AsyncOpenAI(base_url="http://provider/v1", api_key=SECRET, max_retries=0, http_client=http)


def model(provider: Provider) -> agents.Model:
    client = AsyncOpenAI(
        base_url="http://provider/v1", api_key=SECRET, max_retries=0, http_client=http_client(provider)
    )
    return agents.OpenAIResponsesModel(model="fake", openai_client=client)


def chat_model(provider: Provider) -> agents.Model:
    client = AsyncOpenAI(
        base_url="http://provider/v1", api_key=SECRET, max_retries=0, http_client=http_client(provider)
    )
    return agents.OpenAIChatCompletionsModel(model="fake", openai_client=client)


def scripted(*script: list[Step]) -> Provider:
    return Provider([*script])


def texts(state: Mapping[str, Any]) -> list[str]:
    parts = [part for message in state["messages"] for part in message["parts"]]
    return [part["text"] for part in parts if part["type"] == "text"]


async def test_any_model_of_the_sdk_is_shown_alike() -> None:
    provider = scripted([Text("Hel"), Text("lo"), *call("c1", "add", '{"a": 1, "b": 2}')], [Text("Three.")])

    @agents.function_tool
    def add(a: int, b: int) -> int:
        return a + b

    async with TestClient(OpenAIAgentsAgent(agents.Agent("Adder", tools=[add], model=chat_model(provider)))) as client:
        result = await client.run("Hi")

    assert result.error is None
    (added,) = [part for part in result.state["messages"][1]["parts"] if part["type"] == "tool-call"]
    assert (added["args"], added["result"]) == ({"a": 1, "b": 2}, 3)
    assert texts(result.state) == ["Hi", "Hello", "Three."]


@pytest.mark.parametrize("declared", ["agent", "handoff"])
async def test_after_a_handoff_the_other_agent_goes_on_and_is_named_in_the_state(declared: str) -> None:
    provider = scripted(call("h", "transfer_to_billing"), [Text("Billing here.")], [Text("Still billing.")])
    billing = agents.Agent("Billing", model=model(provider))
    target: Any = billing if declared == "agent" else agents.handoff(billing)
    desk = OpenAIAgentsAgent(agents.Agent("Desk", handoffs=[target], model=model(provider)), shown="desk")
    async with TestClient(desk) as client:
        first = await client.run("My bill", thread_id="t")
        second = await client.run("And now?", thread_id="t", state=first.state)

    assert first.state["desk"] == second.state["desk"] == "Billing"
    assert texts(second.state) == ["My bill", "Billing here.", "And now?", "Still billing."]
    assert [part["type"] for part in first.state["messages"][1]["parts"]] == ["text"], "no call is shown"
    assert provider.requests[2].tools == [], "it is the other agent that was asked"


@pytest.mark.parametrize("declared", ["agent", "handoff"])
async def test_the_tools_of_the_page_are_known_to_an_agent_after_a_handoff(declared: str) -> None:
    provider = scripted(
        call("h", "transfer_to_painter"), call("c", "pick_color", '{"of": "sky"}'), [Text("Blue.")], [Text("Yes.")]
    )
    painter = agents.Agent("Painter", model=model(provider))
    target: Any = painter if declared == "agent" else agents.handoff(painter)
    desk = OpenAIAgentsAgent(agents.Agent("Desk", handoffs=[target], model=model(provider)))
    async with TestClient(desk) as client:
        asked = await client.run("Paint", thread_id="t", tools=PAGE_TOOLS)
        answer = {"type": "add-tool-result", "toolCallId": "c", "toolName": "pick_color", "result": "blue"}
        told = await client.run(answer, thread_id="t", state=asked.state)  # which brings no tools
        await client.run("Sure?", thread_id="t", state=told.state, tools=PAGE_TOOLS)

    assert provider.requests[1].tools == ["pick_color"]
    assert provider.requests[2].of("tool")[-1] == "blue"
    assert texts(told.state)[-1] == "Blue."
    assert provider.requests[3].tools == ["pick_color"]


async def test_the_context_is_made_for_each_run_and_need_not_be_json() -> None:
    provider = scripted(call("c", "book", '{"room": "A"}'), [Text("Done.")])

    @agents.function_tool(needs_approval=True)
    def book(ctx: agents.RunContextWrapper[Any], room: str) -> str:
        run: Run = ctx.context["run"]
        run.state["rooms"] = [*run.state.get("rooms", []), room]
        return "booked"

    host = agents.Agent("Host", tools=[book], model=model(provider))
    agent = OpenAIAgentsAgent(host, context=lambda run: {"run": run})
    async with TestClient(agent) as client:
        asked = await client.run("Book", thread_id="t")
        (question,) = asked.state["pending"]
        answer = {"type": "answer", "answers": {question["id"]: True}}
        done = await client.run(answer, thread_id="t", state=asked.state)

    assert done.error is None
    assert done.state["rooms"] == ["A"]


async def test_the_model_reads_why_the_user_denied_a_call() -> None:
    provider = scripted(call("c", "book", '{"room": "A"}'), [Text("Then not.")])

    @agents.function_tool(needs_approval=True)
    def book(room: str) -> str:
        raise AssertionError("expected no call")

    async with TestClient(OpenAIAgentsAgent(agents.Agent("Host", tools=[book], model=model(provider)))) as client:
        asked = await client.run("Book", thread_id="t")
        (question,) = asked.state["pending"]
        denial = {"approved": False, "reason": "Too small."}
        answer = {"type": "answer", "answers": {question["id"]: denial}}
        done = await client.run(answer, thread_id="t", state=asked.state)

    assert provider.requests[1].of("tool") == ["The user denied this call: Too small."]
    (shown,) = [part for part in done.state["messages"][1]["parts"] if part["type"] == "tool-call"]
    assert (shown["approval"]["approved"], shown["isError"]) == (False, True)


async def test_an_approval_within_a_sub_agent_is_asked_in_its_call() -> None:
    provider = scripted(
        call("outer", "clerk", '{"input": "Book A"}'),
        call("inner", "book", '{"room": "A"}'),
        [Text("I booked it.")],
        [Text("Done.")],
    )

    @agents.function_tool(needs_approval=True)
    def book(room: str) -> str:
        return f"booked {room}"

    clerk = agents.Agent("Clerk", tools=[book], model=model(provider))
    asks = clerk.as_tool("clerk", "Ask the clerk.", on_stream=show_sub_agent)
    async with TestClient(OpenAIAgentsAgent(agents.Agent("Host", tools=[asks], model=model(provider)))) as client:
        asked = await client.run("Book A", thread_id="t")
        (question,) = asked.state["pending"]
        answer = {"type": "answer", "answers": {question["id"]: True}}
        done = await client.run(answer, thread_id="t", state=asked.state)

    assert question["callId"] == "inner"
    assert done.error is None
    (outer,) = [part for part in done.state["messages"][1]["parts"] if part["type"] == "tool-call"]
    inner = [part for message in outer["messages"] for part in message["content"]]
    assert [part.get("result") or part["text"] for part in inner] == ["booked A", "I booked it."]
    assert texts(done.state)[-1] == "Done."


async def test_calls_of_the_server_of_the_page_and_for_approval_mix_in_one_answer() -> None:
    answer: list[Step] = [
        *call("a", "add", '{"a": 1, "b": 2}', 0),
        *call("b", "book", '{"room": "A"}', 1),
        *call("c", "pick_color", '{"of": "sky"}', 2),
    ]
    provider = scripted(answer, [Text("All done.")])

    @agents.function_tool
    def add(a: int, b: int) -> int:
        return a + b

    @agents.function_tool(needs_approval=True)
    def book(room: str) -> str:
        return f"booked {room}"

    host = agents.Agent("Host", tools=[add, book], model=model(provider))
    async with TestClient(OpenAIAgentsAgent(host)) as client:
        asked = await client.run("Go", thread_id="t", tools=PAGE_TOOLS)
        chosen = {"type": "add-tool-result", "toolCallId": "c", "toolName": "pick_color", "result": "blue"}
        waiting = await client.run(chosen, thread_id="t", state=asked.state, tools=PAGE_TOOLS)
        (question,) = waiting.state["pending"]
        allowed = {"type": "answer", "answers": {question["id"]: True}}
        done = await client.run(allowed, thread_id="t", state=waiting.state, tools=PAGE_TOOLS)

    assert [part.get("result") for part in asked.state["messages"][1]["parts"]] == [3, None, None]
    assert [part.get("result") for part in done.state["messages"][1]["parts"]] == [3, "booked A", "blue"]
    assert sorted(provider.requests[1].of("tool")) == ["3", "blue", "booked A"]
    assert texts(done.state)[-1] == "All done."


async def test_a_message_after_one_of_two_answers_goes_on_with_what_was_done() -> None:
    both: list[Step] = [*call("a", "book", '{"room": "A"}', 0), *call("b", "book", '{"room": "B"}', 1)]
    provider = scripted(both, [Text("Fine.")])
    booked: list[str] = []

    @agents.function_tool(needs_approval=True)
    def book(room: str) -> str:
        booked.append(room)
        return f"booked {room}"

    host = agents.Agent("Host", tools=[book], model=model(provider))
    async with TestClient(OpenAIAgentsAgent(host)) as client:
        asked = await client.run("Book", thread_id="t")
        first = next(question["id"] for question in asked.state["pending"] if question["callId"] == "a")
        allowed = {"type": "answer", "answers": {first: True}}
        waiting = await client.run(allowed, thread_id="t", state=asked.state)
        done = await client.run("Leave B", thread_id="t", state=waiting.state)

    assert booked == ["A"]
    assert done.state.get("pending", []) == []
    assert provider.requests[1].of("user") == ["Book", "Leave B"]
    assert provider.requests[1].of("tool") == ["booked A"]
    assert texts(done.state)[-1] == "Fine."


async def test_a_handler_of_ones_own_may_use_a_session_of_ones_own() -> None:
    provider = scripted([Text("One.")], [Text("Two.")])
    host = agents.Agent("Host", model=model(provider))
    session = agents.SQLiteSession("t")
    agent = Agent()

    @agent.batch
    async def answer(run: Run) -> None:
        await run_openai_agents(run, host, session=session, shown=None)

    async with TestClient(agent) as client:
        first = await client.run("First", thread_id="t")
        await client.run("Second", thread_id="t", state=first.state)

    assert provider.requests[1].of("user") == ["First", "Second"]
    assert len(await session.get_items()) == 4
    assert "agent" not in first.state
    session.close()


async def test_files_of_the_user_are_in_the_state_and_not_a_second_time_in_the_memory() -> None:
    provider = scripted([Text("A bee.")], [Text("Still a bee.")])
    picture = "data:image/png;base64," + "A" * 1000
    kept: list[Any] = []
    agent = Agent()

    @agent.batch
    async def answer(run: Run) -> None:
        await run_openai_agents(run, agents.Agent("Host", model=model(provider)))
        kept[:] = [run.memory[name] for name in run.memory]

    async with TestClient(agent) as client:
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "image": picture}]
        message = {"type": "add-message", "message": {"role": "user", "parts": parts}}
        first = await client.run(message, thread_id="t")
        await client.run("Sure?", thread_id="t", state=first.state)

    assert provider.requests[1].of("user") == ["What is this?", "Sure?"]
    assert picture not in str(kept)


async def test_too_many_turns_are_explained() -> None:
    provider = scripted(*[call(f"c{n}", "again") for n in range(2)])

    @agents.function_tool
    def again() -> None: ...

    agent = OpenAIAgentsAgent(agents.Agent("Host", tools=[again], model=model(provider)), max_turns=2)
    async with TestClient(agent) as client:
        result = await client.run("Go")

    assert result.code == "step_limit_reached"


def test_what_is_no_agent_of_the_sdk_is_refused() -> None:
    with pytest.raises(TypeError, match="expected an agent of the OpenAI Agents SDK"):
        OpenAIAgentsAgent("Host")


def test_settings_that_make_no_sense_are_refused() -> None:
    host = agents.Agent(name="Host")
    with pytest.raises(TypeError, match="expected a function as context"):
        OpenAIAgentsAgent(host, context={})  # type: ignore[arg-type]  # what a user may get wrong
    with pytest.raises(ValueError, match="apart from the messages as shown"):
        OpenAIAgentsAgent(host, shown="messages")
